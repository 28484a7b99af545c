// What Anthropic's TypeScript SDK, its 0.x and its 1.x generation, sees through the balancer while
// providers misbehave.
// node sdk_test.mjs BIN_DIR WORK_DIR (WORK_DIR holds node_modules)
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { secret } from './canary.mjs';
import { Fleet, until } from './fleet.mjs';

const [binDir, workDir] = process.argv.slice(2).map((directory) => path.resolve(directory));
const require = createRequire(path.join(workDir, 'package.json'));

const kClientKey = secret('client-key');
const kTool = { name: 'get_weather', input: { city: 'Tromsø', days: 3 } };
const kRejection = { type: 'invalid_request_error', message: 'prompt is too long: 200001 > 200000' };

// Each behaviour has a model of its own; any other model gets a plain success.
function rule(model, ...steps) {
    return { match: { model }, steps };
}

const kOverloaded = { status: 529 };
const kSlow = { text: 'one two three four five six', event_gap_ms: 300 };
const kScripts = {
    alpha: {
        rules: [
            rule('with-tool', { thinking: 'let me look', text: 'Looking.', tool: kTool }),
            rule('rejected', { status: 400, error: kRejection }),
            rule('fails-529', kOverloaded),
            rule('fails-reset', { break: { how: 'reset', after: 'head_bytes', count: 0 } }),
            rule('fails-in-stream', { error_event: { after_events: 0 } }),
            rule('all-overloaded', kOverloaded),
            rule('slow', kSlow),
            rule('cut', { break: { how: 'close', after: 'events', count: 5 } }),
            rule('reset', { break: { how: 'reset', after: 'events', count: 5 } }),
            rule('clean-but-early', { break: { how: 'finish', after: 'events', count: 5 } }),
        ],
        steps: [{ text: 'I am alpha.' }],
    },
    beta: {
        rules: [rule('all-overloaded', kOverloaded)],
        steps: [{ text: 'I am beta.' }],
    },
};

const fleet = new Fleet(binDir, path.join(workDir, 'state'));
before(() => fleet.start(kScripts, kClientKey));
after(async () => {
    const wrong = await fleet.stop();
    if (wrong.length > 0) throw new Error(`what was wrong: ${wrong.join('\n')}`);
});

let prompts = 0;

// A prompt of its own each time: no request is like another, and stickiness ties none together.
function request(model, more = {}) {
    const content = `prompt ${++prompts}`;
    return { model, max_tokens: 1024, messages: [{ role: 'user', content }], ...more };
}

async function texts(stream) {
    let text = '';
    for await (const event of stream) {
        if (event.type === 'content_block_delta') text += event.delta.text ?? '';
    }
    return text;
}

// The error that `action` ends with; it must.
async function failure(action) {
    try {
        await action();
    } catch (error) {
        return error;
    }
    assert.fail('this should have failed');
}

for (const [name, version] of [['anthropic-sdk-0', '0.137.0'], ['anthropic-sdk-1', '1.12.0']]) {
    describe(`@anthropic-ai/sdk ${version}`, () => {
        const { Anthropic, APIError, AuthenticationError, BadRequestError } = require(name);
        const clientWith = (apiKey) =>
            new Anthropic({ baseURL: fleet.baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
        // Built late: the address is known only once the fleet runs.
        const messages = () => clientWith(kClientKey).messages;

        test('creates a message', async () => {
            const { data, response } = await messages().create(request('plain')).withResponse();
            assert.equal(data.content[0].text, 'I am alpha.');
            assert.equal(data.model, 'plain');
            assert.equal(data.stop_reason, 'end_turn');
            assert.match(response.headers.get('request-id'), /^req_fake_/);
            assert.equal(response.headers.get('x-provider-used'), 'alpha');
        });

        test('forwards its own headers and bytes, with the provider\'s key', async () => {
            const model = `as-sent-${version}`;
            const sent = request(model, { metadata: { user_id: 'grüße 😀' }, future_field: [1, 2.50] });
            await messages().create(sent, { headers: { 'anthropic-beta': 'some-beta-2030-01-01' } });
            const [seen] = await until('the record', () => {
                const found = fleet.providers.alpha.requests(model);
                return found.length > 0 && found;
            });
            const header = (wanted) => seen.headers
                .filter(([key]) => key.toLowerCase() === wanted)
                .map(([, value]) => value);
            assert.deepEqual(JSON.parse(seen.body), sent);
            assert.deepEqual(header('x-api-key'), [fleet.providers.alpha.key]);
            assert.deepEqual(header('authorization'), []);
            assert.deepEqual(header('anthropic-beta'), ['some-beta-2030-01-01']);
            assert.equal(header('anthropic-version').length, 1);
            assert.match(header('user-agent')[0], /^Anthropic\/JS /);
            assert.ok(!JSON.stringify(seen.headers).includes(kClientKey));
        });

        test('streams a message', async () => {
            const types = [];
            const stream = await messages().create(request('plain', { stream: true }));
            let text = '';
            for await (const event of stream) {
                types.push(event.type);
                if (event.type === 'content_block_delta') text += event.delta.text;
            }
            assert.equal(text, 'I am alpha.');
            assert.equal(types[0], 'message_start');
            assert.equal(types.at(-1), 'message_stop');
        });

        test('streams thinking and a tool call', async () => {
            const message = await messages()
                .stream(request('with-tool', { thinking: { type: 'enabled', budget_tokens: 1024 } }))
                .finalMessage();
            const [thinking, text, tool] = message.content;
            assert.equal(thinking.thinking, 'let me look');
            assert.ok(thinking.signature.length > 20);
            assert.equal(text.text, 'Looking.');
            assert.equal(tool.name, kTool.name);
            assert.deepEqual(tool.input, kTool.input);
            assert.equal(message.stop_reason, 'tool_use');
        });

        test('sees a provider\'s 400 unmodified', async () => {
            const error = await failure(() => messages().create(request('rejected')));
            assert.ok(error instanceof BadRequestError);
            assert.deepEqual(error.error.error, kRejection);
            assert.match(error.error.request_id, /^req_fake_/);
        });

        test('gets 401 for a wrong key', async () => {
            const wrong = clientWith('not-the-key').messages;
            const error = await failure(() => wrong.create(request('plain')));
            assert.ok(error instanceof AuthenticationError);
            assert.equal(error.error.error.type, 'authentication_error');
        });

        for (const model of ['fails-529', 'fails-reset']) {
            test(`does not notice a failover (${model})`, async () => {
                const { data, response } = await messages().create(request(model)).withResponse();
                assert.equal(data.content[0].text, 'I am beta.');
                assert.equal(response.headers.get('x-provider-used'), 'beta');
            });
        }

        for (const model of ['fails-529', 'fails-reset', 'fails-in-stream']) {
            test(`does not notice a failover of a stream (${model})`, async () => {
                const stream = await messages().create(request(model, { stream: true }));
                assert.equal(await texts(stream), 'I am beta.');
            });
        }

        test('gets a 503 of the balancer when nobody can answer', async () => {
            for (const stream of [false, true]) {
                const sent = request('all-overloaded', { stream });
                const error = await failure(() => messages().create(sent));
                assert.ok(error instanceof APIError);
                assert.equal(error.status, 503);
                assert.equal(error.error.type, 'error');
                assert.equal(error.error.error.type, 'provider_error');
                assert.equal(error.error.error.code, 'PROVIDER_UNAVAILABLE');
                assert.ok(error.error.error.message.length > 0);
                const wait = error.headers.get('retry-after');
                assert.ok(wait === null || Number(wait) <= 59, `retry-after: ${wait}`);
            }
        });

        test('cancels the provider\'s work when it aborts', async () => {
            const abandoned = () => fleet.providers.alpha.requests('slow')
                .filter((seen) => seen.abandoned).length;
            const before = abandoned();
            const stream = await messages().create(request('slow', { stream: true }));
            for await (const event of stream) {
                if (event.type === 'content_block_delta') stream.controller.abort();
            }
            await until('the provider to notice', () => abandoned() > before);
        });

        for (const model of ['cut', 'reset', 'clean-but-early']) {
            test(`never takes a broken stream for a whole one (${model})`, async () => {
                const events = [];
                const error = await failure(async () => {
                    const stream = await messages().create(request(model, { stream: true }));
                    for await (const event of stream) events.push(event.type);
                });
                assert.ok(error instanceof Error);
                assert.ok(!events.includes('message_stop'));
                const whole = messages().stream(request(model)).finalMessage();
                await assert.rejects(whole);
            });
        }
    });
}

describe('without its control plane', () => {
    test('the fleet goes on serving', async () => {
        assert.equal(await fleet.stopControlPlane(), 0);
        const { Anthropic } = require('anthropic-sdk-1');
        const client = new Anthropic({ baseURL: fleet.baseURL, apiKey: kClientKey, maxRetries: 0 });
        const message = await client.messages.create(request('fails-529'));
        assert.equal(message.content[0].text, 'I am beta.');
    });
});
