// Prints files as one of JavaScript's readers sees them: JSON, for each file a list of sheets of rows of values.
// node read.mjs READER FILE...
import { createReadStream, readFileSync } from "node:fs";

const library = async (name) => (await import(name)).default;

const READERS = {
  async exceljs(file) {
    const ExcelJS = await library("exceljs");
    const book = new ExcelJS.Workbook();
    await book.xlsx.readFile(file);
    return book.worksheets.map((sheet) => {
      const rows = [];
      sheet.eachRow({ includeEmpty: true }, (row) => rows.push([...row.values].slice(1)));
      return rows;
    });
  },

  async xlsx(file) {
    const SheetJS = await library("xlsx");
    const book = SheetJS.readFile(file);
    const options = { header: 1, raw: true, defval: null, blankrows: true };
    return book.SheetNames.map((name) => SheetJS.utils.sheet_to_json(book.Sheets[name], options));
  },

  async "read-excel-file"(file) {
    const readExcelFile = await library("read-excel-file/node");
    return (await readExcelFile(file, { trim: false })).map(({ data }) => data);
  },

  async "xlsx-populate"(file) {
    const XlsxPopulate = await library("xlsx-populate");
    const book = await XlsxPopulate.fromFileAsync(file);
    return book.sheets().map((sheet) => sheet.usedRange().value());
  },

  async "xlsx-stream-reader"(file) {
    const XlsxStreamReader = await library("xlsx-stream-reader");
    return new Promise((resolve, reject) => {
      const sheets = [];
      const reader = new XlsxStreamReader({ formatting: false, saxTrim: false });
      reader.on("error", reject);
      reader.on("worksheet", (sheet) => {
        const rows = [];
        sheet.on("row", (row) => {
          rows[row.attributes.r - 1] = [...row.values].slice(1);
        });
        sheet.on("end", () => sheets.push(rows));
        sheet.process();
      });
      reader.on("end", () => resolve(sheets));
      createReadStream(file).pipe(reader);
    });
  },

  async papaparse(file) {
    const Papa = await library("papaparse");
    const { data, errors } = Papa.parse(readFileSync(file, "utf8"), { skipEmptyLines: true });
    if (errors.length) throw new Error(JSON.stringify(errors));
    return [data];
  },
};

const [name, ...files] = process.argv.slice(2);
const found = [];
for (const file of files) found.push(await READERS[name](file));
process.stdout.write(JSON.stringify(found));
