"""What the members of an organisation see of it."""

from chalice.app import Request, Response

from chalicelib.files.record import FILE_STATUSES
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.permissions import Scope
from chalicelib.tenants import organizations
from chalicelib.web.answers import answer
from chalicelib.web.routing import Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("GET", "/usage", needs=Scope.ORGANIZATION_READ)
def usage(request: Request, caller: Caller) -> Response:
    organization = organizations.organization_of(stores(), caller)
    used = organization.usage
    return answer(
        {
            "bytes": {"used": used.bytes_used, "quota": used.bytes_used + used.bytes_available},
            "files": {"used": used.files_used, "quota": used.files_used + used.files_available},
            "by_status": {status: organization.file_count(status) for status in FILE_STATUSES},
        }
    )
