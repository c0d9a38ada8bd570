"""What everybody gets of a file that was made: the tables that ``test_rights_matrix`` checks, a row for each person.

Who they are stands in ``world.CAST``. ``main`` and ``sheet`` are the permissions for the two tables, ``column`` those
for a sensitive column of each; the csv has the main table alone. ``-``: a key opens no page, and who could never make
a link has none.

Of what is seen, a number of three digits is a status. Otherwise the answer is 200, and tells:

- ``list``, ``detail``, ``page``: ``all`` that there is; ``part``, without columns, tables or moments that are hidden;
  its name and figures ``bare`` of what they are of; the ``state`` alone. ``no``: it is not listed.
- ``home`` whether it is ``named``; ``status`` how many rows the file has, those of its sheet included.
- ``preset`` all its columns, a part of them, or none.
- ``runs`` (the API), ``admin`` (its list of exports) and ``figures`` (its list of runs) whether the export is in them;
  ``change`` (its page in the admin) whether there is a ``trace`` of an error.

Of what is done:

- ``file`` and ``page`` are downloads by the API and the page, ``old`` a link that was made before the loss, used
  without a login: ``file``, whose bytes are those that were written, or the status.
- ``token`` and ``link`` make a link, by the API and the page; ``leave`` is of the export, ``drop`` of the preset.
- ``use`` is an export asked for by the preset; behind the status, how many tables it has.
"""

from __future__ import annotations

CSV_SEEN = """
                               list  home  detail status events page  preset runs  admin change figures
owner                          all   named all    2      200    all   all    yes   302   302    302
owner without main             bare  named bare   2      200    bare  bare   yes   302   302    302
owner without main column      part  named part   2      200    part  part   yes   302   302    302
owner without sheet            all   named all    2      200    all   all    yes   302   302    302
owner without sheet column     all   named all    2      200    all   all    yes   302   302    302
owner switched off             401   302   401    401    401    302   401    401   302   302    302
owner deleted                  401   302   401    401    401    302   401    401   302   302    302
key: read                      all   -     all    2      200    -     403    yes   -     -      -
key: export                    403   -     403    403    403    -     403    403   -     -      -
key: manage                    403   -     403    403    403    -     all    403   -     -      -
key: read, export              all   -     all    2      200    -     403    yes   -     -      -
key: read, manage              all   -     all    2      200    -     all    yes   -     -      -
key: export, manage            403   -     403    403    403    -     all    403   -     -      -
key: all                       all   -     all    2      200    -     all    yes   -     -      -
key of main alone              all   -     all    2      200    -     all    yes   -     -      -
key of main and sheet          all   -     all    2      200    -     all    yes   -     -      -
key of other data              no    -     404    404    404    -     404    no    -     -      -
key expired                    401   -     401    401    401    -     401    401   -     -      -
key revoked                    401   -     401    401    401    -     401    401   -     -      -
key, new password              401   -     401    401    401    -     401    401   -     -      -
key, user without main         bare  -     bare   2      200    -     bare   yes   -     -      -
key, user without sheet        all   -     all    2      200    -     all    yes   -     -      -
key, user switched off         401   -     401    401    401    -     401    401   -     -      -
key, user deleted              401   -     401    401    401    -     401    401   -     -      -
receiver                       all   named all    2      200    all   all    no    302   302    302
receiver without main          state state state  state  200    state 404    no    302   302    302
receiver without main column   part  named part   2      200    part  part   no    302   302    302
receiver without sheet         all   named all    2      200    all   all    no    302   302    302
receiver without sheet column  all   named all    2      200    all   all    no    302   302    302
receiver switched off          401   302   401    401    401    302   401    401   302   302    302
receiver, owner lacks main     all   named all    2      200    all   all    no    302   302    302
receiver, owner lacks sheet    all   named all    2      200    all   all    no    302   302    302
receiver, owner lacks column   all   named all    2      200    all   all    no    302   302    302
receiver, owner off            all   named all    2      200    all   all    no    302   302    302
receiver, owner deleted        no    no    404    404    404    404   404    no    302   302    302
ex-receiver, unshared          no    no    404    404    404    404   404    no    302   302    302
ex-receiver, left              no    no    404    404    404    404   404    no    302   302    302
stranger                       no    no    404    404    404    404   404    no    302   302    302
nobody                         401   302   401    401    401    302   401    401   302   302    302
staff                          no    no    404    404    404    404   404    no    403   403    403
ex-staff                       bare  named bare   2      200    bare  404    yes   302   302    302
view                           bare  named bare   2      200    bare  404    yes   yes   yes    yes
change                         no    no    404    404    404    404   404    no    403   403    403
download                       no    no    404    404    404    404   404    no    403   403    403
trace                          no    no    404    404    404    404   404    no    403   403    403
unlimited                      no    no    404    404    404    404   404    no    403   403    403
view, change                   bare  named bare   2      200    bare  404    yes   yes   yes    yes
view, download                 bare  named bare   2      200    bare  404    yes   yes   yes    yes
view, trace                    bare  named bare   2      200    bare  404    yes   yes   trace  yes
view, download, data           all   named all    2      200    all   404    yes   yes   yes    yes
view, download, main           all   named all    2      200    all   404    yes   yes   yes    yes
download taken away            all   named all    2      200    all   404    yes   yes   yes    yes
view taken away                no    no    404    404    404    404   404    no    403   403    403
member                         bare  named bare   2      200    bare  404    yes   yes   yes    yes
ex-member                      no    no    404    404    404    404   404    no    403   403    403
superuser                      all   named all    2      200    all   404    yes   yes   trace  yes
"""

CSV_DONE = """
                               file  page  token link  old   share unshare leave use   drop  delete
owner                          file  file  201   201   file  302   302     404   202:1 404   204
owner without main             403   403   403   403   403   302   302     404   400   404   204
owner without main column      403   403   403   403   403   302   302     404   403   404   204
owner without sheet            file  file  201   201   file  302   302     404   202:1 404   204
owner without sheet column     file  file  201   201   file  302   302     404   202:1 404   204
owner switched off             401   302   401   302   403   302   302     401   401   401   401
owner deleted                  401   302   401   302   410   302   302     401   401   401   401
key: read                      403   -     403   -     -     -     -       403   403   403   403
key: export                    file  -     201   -     file  -     -       403   202:1 403   403
key: manage                    403   -     403   -     -     -     -       404   403   404   204
key: read, export              file  -     201   -     file  -     -       403   202:1 403   403
key: read, manage              403   -     403   -     -     -     -       404   403   404   204
key: export, manage            file  -     201   -     file  -     -       404   202:1 404   204
key: all                       file  -     201   -     file  -     -       404   202:1 404   204
key of main alone              file  -     201   -     file  -     -       404   202:1 404   204
key of main and sheet          file  -     201   -     file  -     -       404   202:1 404   204
key of other data              404   -     404   -     -     -     -       404   400   404   404
key expired                    401   -     401   -     file  -     -       401   401   401   401
key revoked                    401   -     401   -     file  -     -       401   401   401   401
key, new password              401   -     401   -     403   -     -       401   401   401   401
key, user without main         403   -     403   -     403   -     -       404   400   404   204
key, user without sheet        file  -     201   -     file  -     -       404   202:1 404   204
key, user switched off         401   -     401   -     403   -     -       401   401   401   401
key, user deleted              401   -     401   -     410   -     -       401   401   401   401
receiver                       file  file  201   201   file  403   403     204   202:1 204   403
receiver without main          403   403   403   403   403   403   403     204   400   204   403
receiver without main column   403   403   403   403   403   403   403     204   403   204   403
receiver without sheet         file  file  201   201   file  403   403     204   202:1 204   403
receiver without sheet column  file  file  201   201   file  403   403     204   202:1 204   403
receiver switched off          401   302   401   302   403   302   302     401   401   401   401
receiver, owner lacks main     403   403   403   403   403   403   403     204   202:1 204   403
receiver, owner lacks sheet    file  file  201   201   file  403   403     204   202:1 204   403
receiver, owner lacks column   file  file  201   201   file  403   403     204   202:1 204   403
receiver, owner off            403   403   403   403   403   403   403     204   202:1 204   403
receiver, owner deleted        404   404   404   404   410   404   404     404   400   404   404
ex-receiver, unshared          404   404   404   404   403   404   404     404   400   404   404
ex-receiver, left              404   404   404   404   403   404   404     404   400   404   404
stranger                       404   404   404   404   -     404   404     404   400   404   404
nobody                         401   302   401   302   file  302   302     401   401   401   401
staff                          404   404   404   404   -     404   404     404   400   404   404
ex-staff                       403   403   403   403   -     403   403     404   400   404   204
view                           403   403   403   403   -     403   403     404   400   404   403
change                         404   404   404   404   -     404   404     404   400   404   404
download                       404   404   404   404   -     404   404     404   400   404   404
trace                          404   404   404   404   -     404   404     404   400   404   404
unlimited                      404   404   404   404   -     404   404     404   400   404   404
view, change                   403   403   403   403   -     403   403     404   400   404   204
view, download                 403   403   403   403   -     403   403     404   400   404   403
view, trace                    403   403   403   403   -     403   403     404   400   404   403
view, download, data           file  file  201   201   file  403   403     404   400   404   403
view, download, main           file  file  201   201   file  403   403     404   400   404   403
download taken away            403   403   403   403   403   403   403     404   400   404   403
view taken away                404   404   404   404   403   404   404     404   400   404   404
member                         403   403   403   403   -     403   403     404   400   404   204
ex-member                      404   404   404   404   -     404   404     404   400   404   404
superuser                      file  file  201   201   file  403   403     404   400   404   204
"""

XLSX_SEEN = """
                               list  home  detail status events page  preset runs  admin change figures
owner                          all   named all    10     200    all   all    yes   302   302    302
owner without main             bare  named bare   10     200    bare  bare   yes   302   302    302
owner without main column      part  named part   10     200    part  part   yes   302   302    302
owner without sheet            part  named part   10     200    part  all    yes   302   302    302
owner without sheet column     all   named all    10     200    all   all    yes   302   302    302
owner switched off             401   302   401    401    401    302   401    401   302   302    302
owner deleted                  401   302   401    401    401    302   401    401   302   302    302
key: read                      all   -     all    10     200    -     403    yes   -     -      -
key: export                    403   -     403    403    403    -     403    403   -     -      -
key: manage                    403   -     403    403    403    -     all    403   -     -      -
key: read, export              all   -     all    10     200    -     403    yes   -     -      -
key: read, manage              all   -     all    10     200    -     all    yes   -     -      -
key: export, manage            403   -     403    403    403    -     all    403   -     -      -
key: all                       all   -     all    10     200    -     all    yes   -     -      -
key of main alone              part  -     part   2      200    -     all    yes   -     -      -
key of main and sheet          all   -     all    10     200    -     all    yes   -     -      -
key of other data              no    -     404    404    404    -     404    no    -     -      -
key expired                    401   -     401    401    401    -     401    401   -     -      -
key revoked                    401   -     401    401    401    -     401    401   -     -      -
key, new password              401   -     401    401    401    -     401    401   -     -      -
key, user without main         bare  -     bare   10     200    -     bare   yes   -     -      -
key, user without sheet        part  -     part   10     200    -     all    yes   -     -      -
key, user switched off         401   -     401    401    401    -     401    401   -     -      -
key, user deleted              401   -     401    401    401    -     401    401   -     -      -
receiver                       all   named all    10     200    all   all    no    302   302    302
receiver without main          state state state  state  200    state 404    no    302   302    302
receiver without main column   part  named part   10     200    part  part   no    302   302    302
receiver without sheet         state state state  state  200    state all    no    302   302    302
receiver without sheet column  part  named part   10     200    part  all    no    302   302    302
receiver switched off          401   302   401    401    401    302   401    401   302   302    302
receiver, owner lacks main     all   named all    10     200    all   all    no    302   302    302
receiver, owner lacks sheet    all   named all    10     200    all   all    no    302   302    302
receiver, owner lacks column   all   named all    10     200    all   all    no    302   302    302
receiver, owner off            all   named all    10     200    all   all    no    302   302    302
receiver, owner deleted        no    no    404    404    404    404   404    no    302   302    302
ex-receiver, unshared          no    no    404    404    404    404   404    no    302   302    302
ex-receiver, left              no    no    404    404    404    404   404    no    302   302    302
stranger                       no    no    404    404    404    404   404    no    302   302    302
nobody                         401   302   401    401    401    302   401    401   302   302    302
staff                          no    no    404    404    404    404   404    no    403   403    403
ex-staff                       bare  named bare   10     200    bare  404    yes   302   302    302
view                           bare  named bare   10     200    bare  404    yes   yes   yes    yes
change                         no    no    404    404    404    404   404    no    403   403    403
download                       no    no    404    404    404    404   404    no    403   403    403
trace                          no    no    404    404    404    404   404    no    403   403    403
unlimited                      no    no    404    404    404    404   404    no    403   403    403
view, change                   bare  named bare   10     200    bare  404    yes   yes   yes    yes
view, download                 bare  named bare   10     200    bare  404    yes   yes   yes    yes
view, trace                    bare  named bare   10     200    bare  404    yes   yes   trace  yes
view, download, data           all   named all    10     200    all   404    yes   yes   yes    yes
view, download, main           part  named part   10     200    part  404    yes   yes   yes    yes
download taken away            all   named all    10     200    all   404    yes   yes   yes    yes
view taken away                no    no    404    404    404    404   404    no    403   403    403
member                         bare  named bare   10     200    bare  404    yes   yes   yes    yes
ex-member                      no    no    404    404    404    404   404    no    403   403    403
superuser                      all   named all    10     200    all   404    yes   yes   trace  yes
"""

XLSX_DONE = """
                               file  page  token link  old   share unshare leave use   drop  delete
owner                          file  file  201   201   file  302   302     404   202:2 404   204
owner without main             403   403   403   403   403   302   302     404   400   404   204
owner without main column      403   403   403   403   403   302   302     404   403   404   204
owner without sheet            403   403   403   403   403   302   302     404   202:1 404   204
owner without sheet column     403   403   403   403   403   302   302     404   202:2 404   204
owner switched off             401   302   401   302   403   302   302     401   401   401   401
owner deleted                  401   302   401   302   410   302   302     401   401   401   401
key: read                      403   -     403   -     -     -     -       403   403   403   403
key: export                    file  -     201   -     file  -     -       403   202:2 403   403
key: manage                    403   -     403   -     -     -     -       404   403   404   204
key: read, export              file  -     201   -     file  -     -       403   202:2 403   403
key: read, manage              403   -     403   -     -     -     -       404   403   404   204
key: export, manage            file  -     201   -     file  -     -       404   202:2 404   204
key: all                       file  -     201   -     file  -     -       404   202:2 404   204
key of main alone              403   -     403   -     -     -     -       404   202:1 404   204
key of main and sheet          file  -     201   -     file  -     -       404   202:2 404   204
key of other data              404   -     404   -     -     -     -       404   400   404   404
key expired                    401   -     401   -     file  -     -       401   401   401   401
key revoked                    401   -     401   -     file  -     -       401   401   401   401
key, new password              401   -     401   -     403   -     -       401   401   401   401
key, user without main         403   -     403   -     403   -     -       404   400   404   204
key, user without sheet        403   -     403   -     403   -     -       404   202:1 404   204
key, user switched off         401   -     401   -     403   -     -       401   401   401   401
key, user deleted              401   -     401   -     410   -     -       401   401   401   401
receiver                       file  file  201   201   file  403   403     204   202:2 204   403
receiver without main          403   403   403   403   403   403   403     204   400   204   403
receiver without main column   403   403   403   403   403   403   403     204   403   204   403
receiver without sheet         403   403   403   403   403   403   403     204   202:1 204   403
receiver without sheet column  403   403   403   403   403   403   403     204   202:2 204   403
receiver switched off          401   302   401   302   403   302   302     401   401   401   401
receiver, owner lacks main     403   403   403   403   403   403   403     204   202:2 204   403
receiver, owner lacks sheet    403   403   403   403   403   403   403     204   202:2 204   403
receiver, owner lacks column   403   403   403   403   403   403   403     204   202:2 204   403
receiver, owner off            403   403   403   403   403   403   403     204   202:2 204   403
receiver, owner deleted        404   404   404   404   410   404   404     404   400   404   404
ex-receiver, unshared          404   404   404   404   403   404   404     404   400   404   404
ex-receiver, left              404   404   404   404   403   404   404     404   400   404   404
stranger                       404   404   404   404   -     404   404     404   400   404   404
nobody                         401   302   401   302   file  302   302     401   401   401   401
staff                          404   404   404   404   -     404   404     404   400   404   404
ex-staff                       403   403   403   403   -     403   403     404   400   404   204
view                           403   403   403   403   -     403   403     404   400   404   403
change                         404   404   404   404   -     404   404     404   400   404   404
download                       404   404   404   404   -     404   404     404   400   404   404
trace                          404   404   404   404   -     404   404     404   400   404   404
unlimited                      404   404   404   404   -     404   404     404   400   404   404
view, change                   403   403   403   403   -     403   403     404   400   404   204
view, download                 403   403   403   403   -     403   403     404   400   404   403
view, trace                    403   403   403   403   -     403   403     404   400   404   403
view, download, data           file  file  201   201   file  403   403     404   400   404   403
view, download, main           403   403   403   403   -     403   403     404   400   404   403
download taken away            403   403   403   403   403   403   403     404   400   404   403
view taken away                404   404   404   404   403   404   404     404   400   404   404
member                         403   403   403   403   -     403   403     404   400   404   204
ex-member                      404   404   404   404   -     404   404     404   400   404   404
superuser                      file  file  201   201   file  403   403     404   400   404   204
"""

TABLES = {"csv": (CSV_SEEN, CSV_DONE), "xlsx": (XLSX_SEEN, XLSX_DONE)}
"""What is seen, and what is done."""
