// The straightforward service: express, ioredis, ws. A session is JSON under one key; a change is
// GET, SETEX, PUBLISH, and concurrent changes overwrite each other, as most such services do.
import { createServer } from "node:http";
import express from "express";
import { Redis } from "ioredis";
import { WebSocketServer } from "ws";
import { onEveryCore } from "./cluster.js";

const [port, socket] = process.argv.slice(2);
const ONE_DAY_S = 86400;

function serve() {
    const redis = new Redis(socket);
    const listener = new Redis(socket);
    const watchers = new Map(); // session id -> sockets
    const app = express();
    app.disable("x-powered-by");
    app.use(express.json());

    const load = async (id) => JSON.parse(await redis.get(`session:${id}`));
    const save = async (state) => {
        const text = JSON.stringify(state);
        await redis.setex(`session:${state.session_id}`, ONE_DAY_S, text);
        await redis.publish(`session:${state.session_id}`, text);
    };

    app.post("/v1/sessions", async (request, response) => {
        const state = { ...request.body, version: 1, status: "pending", created_at: new Date().toISOString() };
        state.participants = state.participants.map((p) => ({ ...p, time_used_ms: 0, cycle_count: 0 }));
        await save(state);
        response.status(201).json({ data: state });
    });
    app.get("/v1/sessions/:id", async (request, response) => {
        const state = await load(request.params.id);
        if (state) response.json({ data: state });
        else response.status(404).json({ error: { code: "SESSION_NOT_FOUND" } });
    });
    app.post("/v1/sessions/:id/start", async (request, response) => {
        const state = await load(request.params.id);
        Object.assign(state, { status: "running", active: 0, cycle_started_at: Date.now(), version: state.version + 1 });
        await save(state);
        response.json({ data: state });
    });
    app.post("/v1/sessions/:id/switch", async (request, response) => {
        const state = await load(request.params.id);
        const now = Date.now();
        const turn = state.participants[state.active];
        turn.total_time_ms -= now - state.cycle_started_at;
        turn.time_used_ms += now - state.cycle_started_at;
        turn.cycle_count++;
        state.active = (state.active + 1) % state.participants.length;
        state.cycle_started_at = now;
        state.version++;
        await save(state);
        response.json({ data: { session_id: state.session_id, version: state.version, status: state.status } });
    });

    const server = createServer(app);
    const sockets = new WebSocketServer({ server, path: "/ws" });
    sockets.on("connection", async (client, request) => {
        const id = new URL(request.url, "http://localhost").searchParams.get("sessionId");
        const channel = `session:${id}`;
        if (!watchers.has(channel)) {
            watchers.set(channel, new Set());
            await listener.subscribe(channel);
        }
        watchers.get(channel).add(client);
        client.on("close", () => watchers.get(channel)?.delete(client));
        client.send(JSON.stringify({ type: "STATE_SYNC", payload: await load(id) }));
    });
    listener.on("message", (channel, text) => {
        const message = `{"type":"STATE_UPDATE","payload":${text}}`;
        for (const client of watchers.get(channel) ?? []) client.send(message);
    });
    server.listen(Number(port), "127.0.0.1", 4096);
}

onEveryCore(serve);
