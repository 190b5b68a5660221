"""The grants are written by hand, for the logins that the table of services has."""

import re

from leadline.schema.migrate import package_migrations
from leadline.schema.roles import SERVICE_ROLES, login_role


def test_every_login_has_its_grants_and_no_other_role_has_any():
    granted = {
        role
        for migration in package_migrations()
        for roles in re.findall(r"^GRANT [^;]*?\bTO\s+([^;]+);", migration.sql, re.MULTILINE)
        for role in re.findall(r"\w+", roles)
    }
    assert granted == {login_role(service) for service in SERVICE_ROLES}
