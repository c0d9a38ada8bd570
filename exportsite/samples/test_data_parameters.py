"""What a request for test data may say, and what of it is refused."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from exportsite.samples.test_data import DEFAULT_SCHEMA, KINDS, LARGEST, LOCALES, MAX_FIELDS, MAX_ROWS


class FieldSchema(serializers.Serializer[Any]):
    """One field of the schema."""

    name = serializers.RegexField(r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
    type = serializers.ChoiceField(choices=sorted(KINDS))
    min = serializers.IntegerField(default=0, min_value=-LARGEST, max_value=LARGEST)
    max = serializers.IntegerField(default=1_000_000, min_value=-LARGEST, max_value=LARGEST)
    values = serializers.ListField(child=serializers.CharField(max_length=200), required=False, min_length=1)
    null_ratio = serializers.FloatField(default=0.0, min_value=0.0, max_value=1.0)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["min"] > attrs["max"]:
            raise serializers.ValidationError({"min": "The least value is above the largest."})
        if attrs["type"] == "choice" and "values" not in attrs:
            raise serializers.ValidationError({"values": "A choice needs its values."})
        return attrs


class Schema(serializers.Serializer[Any]):
    """The snapshot of a schema: it is kept with the job, whatever becomes of the original."""

    fields_: Any = serializers.ListSerializer(child=FieldSchema(), max_length=MAX_FIELDS, allow_empty=False)

    def get_fields(self) -> dict[str, Any]:
        declared = super().get_fields()
        return {"fields": declared["fields_"]}  # ``fields`` itself is a property of every serializer

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        names = [each["name"] for each in attrs["fields"]]
        doubled = {name for name in names if names.count(name) > 1 or name == "row"}
        if doubled:
            raise serializers.ValidationError({"fields": f"The name {min(doubled)} is taken. Rename the field."})
        return attrs


class TestDataParameters(serializers.Serializer[Any]):
    """What a request for test data gives."""

    schema = Schema(default=DEFAULT_SCHEMA, help_text='{"fields": [{"name", "type", "min", "max", "values", …}]}')
    seed = serializers.IntegerField(default=1, min_value=0, max_value=2**63 - 1, help_text="Other seed, other rows")
    rows = serializers.IntegerField(default=1_000, min_value=1, max_value=MAX_ROWS, help_text="How many rows")
    locale = serializers.ChoiceField(choices=LOCALES, default="en", help_text="Language of names and places")
    prompt = serializers.JSONField(default=dict, help_text="What the rows are wanted for; kept on the job")
