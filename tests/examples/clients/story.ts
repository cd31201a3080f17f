// What a generated client must be able to do. schema.ts is made from the OpenAPI document.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const [url, email, password] = process.argv.slice(2) as [string, string, string];
const api = createClient<paths>({ baseUrl: url });

function sure<T>(answer: { data?: T; error?: { errorCode: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.errorCode);
  return answer.data;
}

const opened = sure(await api.POST("/api/users/login", { body: { email, password } }));
const token: string | null = opened.refreshToken; // there is no undefined in it
const next = sure(await api.POST("/api/users/refresh_token", { body: { refreshToken: token ?? "" } }));
const headers = { Authorization: `Bearer ${next.accessToken}` };
const added = sure(await api.POST("/api/tasks", { headers, body: { name: "from TypeScript" } }));
const names: string[] = sure(await api.GET("/api/tasks", { headers })).map(task => task.name);
const refused = await api.GET("/api/tasks/{task_id}", { headers, params: { path: { task_id: 0 } } });
console.log(JSON.stringify([added.name, names, refused.error?.errorCode]));
