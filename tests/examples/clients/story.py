"""What a generated client must be able to do. The package is made from the OpenAPI document."""

import json
import sys

from tasks_api_client import AuthenticatedClient, Client
from tasks_api_client.api.tasks import add_task, get_task, list_tasks
from tasks_api_client.api.users import log_in, refresh_token
from tasks_api_client.models import (
    LoginRequest,
    NewTask,
    ProblemResponse,
    RefreshRequest,
    TaskResponse,
    TokenResponse,
)

url, email, password = sys.argv[1:]
api = Client(base_url=url)
opened = log_in.sync(client=api, body=LoginRequest(email=email, password=password))
assert isinstance(opened, TokenResponse)
token: str | None = opened.refresh_token  # nothing is unset
following = refresh_token.sync(client=api, body=RefreshRequest(refresh_token=token or ""))
assert isinstance(following, TokenResponse)
caller = AuthenticatedClient(base_url=url, token=following.access_token)
added = add_task.sync(client=caller, body=NewTask(name="from Python"))
assert isinstance(added, TaskResponse)
tasks = list_tasks.sync(client=caller)
assert isinstance(tasks, list)
names: list[str] = [task.name for task in tasks]
refused = get_task.sync(client=caller, task_id=0)
assert isinstance(refused, ProblemResponse)
print(json.dumps([added.name, names, refused.error_code]))
