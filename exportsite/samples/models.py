"""Tables to try the exports on: a payment ledger, its customers, and a trading journal.

Each index serves a key (the order of a file) or a filter of ``filters.py``. One for a filter by values ends
with the key, so that the rows it finds come in the file's order.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class TransactionStatus(models.TextChoices):
    PENDING = "PENDING", "Pending"
    SETTLED = "SETTLED", "Settled"
    FAILED = "FAILED", "Failed"
    REFUNDED = "REFUNDED", "Refunded"


class Currency(models.TextChoices):
    CHF = "CHF", "Swiss franc"
    EUR = "EUR", "Euro"
    GBP = "GBP", "Pound sterling"
    JPY = "JPY", "Japanese yen"
    PLN = "PLN", "Polish złoty"
    SEK = "SEK", "Swedish krona"
    USD = "USD", "US dollar"


class SubscriptionTier(models.TextChoices):
    FREE = "FREE", "Free"
    BASIC = "BASIC", "Basic"
    PRO = "PRO", "Pro"
    ENTERPRISE = "ENTERPRISE", "Enterprise"


class AssetClass(models.TextChoices):
    CRYPTO = "CRYPTO", "Crypto"
    FOREX = "FOREX", "Foreign exchange"
    FUTURE = "FUTURE", "Future"
    STOCK = "STOCK", "Stock"


class TradeDirection(models.TextChoices):
    LONG = "LONG", "Long"
    SHORT = "SHORT", "Short"


class TradeStatus(models.TextChoices):
    OPEN = "OPEN", "Open"
    CLOSED = "CLOSED", "Closed"
    CANCELLED = "CANCELLED", "Cancelled"


class GoalStatus(models.TextChoices):
    ACTIVE = "ACTIVE", "Active"
    ACHIEVED = "ACHIEVED", "Achieved"
    MISSED = "MISSED", "Missed"


class GoalPeriod(models.TextChoices):
    WEEKLY = "WEEKLY", "Weekly"
    MONTHLY = "MONTHLY", "Monthly"
    QUARTERLY = "QUARTERLY", "Quarterly"
    YEARLY = "YEARLY", "Yearly"


class EvaluationPhase(models.TextChoices):
    CHALLENGE = "CHALLENGE", "Challenge"
    VERIFICATION = "VERIFICATION", "Verification"
    FUNDED = "FUNDED", "Funded"


class EvaluationStatus(models.TextChoices):
    ACTIVE = "ACTIVE", "Active"
    PASSED = "PASSED", "Passed"
    FAILED = "FAILED", "Failed"


class Account(models.Model):
    """Where money is booked and trades are made."""

    number = models.CharField(max_length=20, unique=True)
    owner = models.CharField(max_length=200, help_text="Name to show.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="sample_accounts",
        help_text="Who sees this account's trades and goals; while empty, only who may see every account.",
    )

    class Meta:
        permissions = [("view_every_account", "Can view the rows of every account")]

    def __str__(self) -> str:
        return self.number


class Customer(models.Model):
    name = models.CharField(max_length=200)
    email = models.CharField(max_length=254, null=True, blank=True)
    signup_date = models.DateField()
    country_code = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2")
    subscription_tier = models.CharField(max_length=10, choices=SubscriptionTier)
    lifetime_value = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        indexes = [
            models.Index(fields=["country_code", "id"], name="sample_customer_by_country"),
            models.Index(fields=["subscription_tier", "id"], name="sample_customer_by_tier"),
            models.Index(fields=["lifetime_value"], name="sample_customer_by_value"),
            models.Index(fields=["signup_date"], name="sample_customer_by_signup"),
        ]

    def __str__(self) -> str:
        return self.name


class Transaction(models.Model):
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="transactions", db_index=False)
    booked_at = models.DateTimeField()
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    fee = models.DecimalField(max_digits=10, decimal_places=2, null=True, blank=True, help_text="Empty until known.")
    currency = models.CharField(max_length=3, choices=Currency)
    status = models.CharField(max_length=10, choices=TransactionStatus)
    merchant = models.CharField(max_length=200)
    description = models.TextField(null=True, blank=True)
    reference = models.CharField(max_length=50, null=True, blank=True)
    card_number = models.CharField(max_length=19, null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["booked_at", "id"], name="sample_transaction_key")]
        indexes = [
            models.Index(fields=["account", "booked_at", "id"], name="sample_transaction_by_account"),
            models.Index(fields=["status", "booked_at", "id"], name="sample_transaction_by_status"),
            models.Index(fields=["currency", "booked_at", "id"], name="sample_transaction_by_currency"),
            models.Index(fields=["amount"], name="sample_transaction_by_amount"),
        ]
        permissions = [("view_card", "Can see card numbers")]

    def __str__(self) -> str:
        return f"{self.booked_at:%Y-%m-%d} {self.merchant}"


class Instrument(models.Model):
    """What can be traded."""

    symbol = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=100)
    asset_class = models.CharField(max_length=10, choices=AssetClass)

    def __str__(self) -> str:
        return self.symbol


class Tag(models.Model):
    """A word that a trader puts on trades."""

    name = models.CharField(max_length=100)
    colour = models.CharField(max_length=7, help_text="#rrggbb")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name"], name="sample_tag_name")]
        indexes = [models.Index(fields=["created_at"], name="sample_tag_by_creation")]

    def __str__(self) -> str:
        return self.name


class Trade(models.Model):
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="trades", db_index=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="trades", db_index=False)
    tags = models.ManyToManyField(Tag, related_name="trades", blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True, help_text="Empty while open, and when cancelled.")
    direction = models.CharField(max_length=5, choices=TradeDirection)
    status = models.CharField(max_length=10, choices=TradeStatus)
    quantity = models.DecimalField(max_digits=18, decimal_places=4)
    entry_price = models.DecimalField(max_digits=18, decimal_places=5)
    exit_price = models.DecimalField(max_digits=18, decimal_places=5, null=True, blank=True)
    fees = models.DecimalField(max_digits=12, decimal_places=2)
    pnl = models.DecimalField("P&L", max_digits=16, decimal_places=2, null=True, blank=True, help_text="After fees.")
    notes = models.TextField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["opened_at", "id"], name="sample_trade_key"),
            models.CheckConstraint(
                name="sample_trade_closed_is_complete",
                condition=Q(
                    status=TradeStatus.CLOSED,
                    closed_at__gte=F("opened_at"),
                    exit_price__isnull=False,
                    pnl__isnull=False,
                )
                | Q(~Q(status=TradeStatus.CLOSED), closed_at=None, exit_price=None, pnl=None),
            ),
        ]
        indexes = [
            models.Index(fields=["account", "opened_at", "id"], name="sample_trade_by_account"),
            models.Index(fields=["account", "closed_at"], name="sample_trade_by_account_close"),
            models.Index(fields=["instrument", "opened_at", "id"], name="sample_trade_by_instrument"),
            models.Index(fields=["status", "opened_at", "id"], name="sample_trade_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.quantity.normalize():f} on {self.opened_at:%Y-%m-%d}"


class Goal(models.Model):
    """A P&L that an account shall reach within a period."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="goals")
    name = models.CharField(max_length=100)
    period = models.CharField(max_length=10, choices=GoalPeriod)
    status = models.CharField(max_length=10, choices=GoalStatus)
    target = models.DecimalField(max_digits=12, decimal_places=2)
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="Its last day.")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="sample_goal_target_is_positive", condition=Q(target__gt=0)),
            models.CheckConstraint(name="sample_goal_ends_after_start", condition=Q(ends_on__gte=F("starts_on"))),
        ]

    def __str__(self) -> str:
        return self.name


class PropEvaluation(models.Model):
    """A trial by which a trader earns a firm's money: reach the target, stay within the limits."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="evaluations")
    phase = models.CharField(max_length=15, choices=EvaluationPhase)
    status = models.CharField(max_length=10, choices=EvaluationStatus)
    starting_balance = models.DecimalField(max_digits=14, decimal_places=2)
    profit_target = models.DecimalField(max_digits=12, decimal_places=2)
    max_daily_loss = models.DecimalField(max_digits=12, decimal_places=2)
    max_total_loss = models.DecimalField(max_digits=12, decimal_places=2)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="Empty while active.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(status=EvaluationStatus.ACTIVE),
                name="sample_one_active_evaluation",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_phase_display()} from {self.starts_on}"
