"""Content type and permissions of the pages in the admin. No table: the queue's own are made after each `migrate`."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """The model Job."""

    initial = True

    dependencies: ClassVar[list[tuple[str, str]]] = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.CharField(editable=False, max_length=36, primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "permissions": [("retry_job", "Can retry job"), ("cancel_job", "Can cancel job")],
                "managed": False,
                "default_permissions": ("view", "delete"),
            },
        ),
    ]
