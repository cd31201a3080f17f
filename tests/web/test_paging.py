"""Pages of any list; tests/tasks follows the links of one."""

from types import SimpleNamespace
from typing import Any

from tasks_api.errors import T00
from tasks_api.web.blueprint import Blueprint, returns
from tasks_api.web.paging import PageQuery, page_of
from tasks_api.web.parsing import takes
from tests.conftest import MakeApp


class Query(PageQuery):
    problem = T00


def test_the_link_to_the_next_page_keeps_the_path(make_app: MakeApp) -> None:
    shelf = Blueprint("shelf", "/api/shelves")

    @shelf.get("/<id:shelf_id>/books")
    @returns(None)
    @takes(Query(), "query")
    def list_books(query: dict[str, Any], shelf_id: int) -> Any:
        return page_of(query, lambda limit, after: [SimpleNamespace(id=after + shelf_id)] * limit)

    app = make_app()
    app.register_blueprint(shelf)
    answer = app.test_client().get("/api/shelves/7/books?limit=1&after=10")
    assert answer.headers["Link"] == '</api/shelves/7/books?limit=1&after=17>; rel="next"'
