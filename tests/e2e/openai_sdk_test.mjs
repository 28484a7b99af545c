// OpenAI's TypeScript SDK, two generations of it, with providers of both types; and Anthropic's with
// a provider of type openai.
// node openai_sdk_test.mjs BIN_DIR WORK_DIR (WORK_DIR holds node_modules)
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { secret } from './canary.mjs';
import { Fleet, until } from './fleet.mjs';

const [binDir, workDir] = process.argv.slice(2).map((directory) => path.resolve(directory));
const require = createRequire(path.join(workDir, 'package.json'));

const kClientKey = secret('client-key');
const kImage = 'iVBORw0KGgo=';
const kInput = { city: 'Tromsø', days: 3 };
const kUsers = ['openai-5', 'openai-6', 'anthropic'];  // one script position each

// The same for both providers; each tells it in its own format.
function rules(prefix) {
    const tool = { text: 'Looking.', tool: { name: 'get_weather', input: kInput } };
    return [
        ...kUsers.map((user) => ({
            match: { model: `${prefix}-tool-${user}` },
            steps: [tool, { text: 'It is cold.' }],
            loop: true,
        })),
        ...[
            ['rejected', { status: 400 }],
            ['limited', { status: 429, headers: { 'retry-after': 7 } }],
            ['slow', { text: 'one two three four five six', event_gap_ms: 300 }],
            ['cut', { break: { how: 'close', after: 'events', count: 5 } }],
            ['clean-but-early', { break: { how: 'finish', after: 'events', count: 5 } }],
        ].map(([name, step]) => ({ match: { model: `${prefix}-${name}` }, steps: [step] })),
        { match: { model: `first-${prefix}` }, steps: [{ status: 529 }] },
    ];
}

const fleet = new Fleet(binDir, path.join(workDir, 'state-openai'));
before(() => fleet.start(
    {
        claude: { rules: rules('claude'), steps: [{ text: 'I am claude.' }] },
        other: { rules: rules('gpt'), steps: [{ text: 'I am another.' }] },
    },
    kClientKey,
    {
        openai: ['other'],
        routes: {
            'claude-*': ['claude'],
            'gpt-*': ['other'],
            'first-claude': ['claude', 'other'],
            'first-gpt': ['other', 'claude'],
        },
    },
));
after(async () => {
    const wrong = await fleet.stop();
    if (wrong.length > 0) throw new Error(`what was wrong: ${wrong.join('\n')}`);
});

let prompts = 0;

// A prompt of its own each time: stickiness ties none together.
function request(model, more = {}) {
    return { model, messages: [{ role: 'user', content: `prompt ${++prompts}` }], ...more };
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

async function recorded(provider, model, count = 1) {
    return until('the record', () => {
        const found = fleet.providers[provider].requests(model);
        return found.length >= count && found.map((seen) => JSON.parse(seen.body));
    });
}

// Which provider takes the models that begin with it, and what it says.
const kSides = [
    { prefix: 'claude', provider: 'claude', says: 'I am claude.' },
    { prefix: 'gpt', provider: 'other', says: 'I am another.' },
];

// `run` asks for `model` and leaves in the middle.
async function abandons(provider, model, run) {
    const abandoned = () =>
        fleet.providers[provider].requests(model).filter((seen) => seen.abandoned).length;
    const before = abandoned();
    await run(model);
    await until('the provider to notice', () => abandoned() > before);
}

for (const version of [5, 6]) {
    const OpenAI = require(`openai-sdk-${version}`);
    const clientWith = (apiKey) => new OpenAI({
        baseURL: `${fleet.baseURL}/v1`, apiKey, maxRetries: 0, timeout: 30_000,
    });
    // Built late: the address is known only once the fleet runs.
    const completions = () => clientWith(kClientKey).chat.completions;

    for (const { prefix, provider, says } of kSides) {
        describe(`openai ${version} with ${prefix}`, () => {
            test('creates a completion', async () => {
                const { data, response } =
                    await completions().create(request(`${prefix}-plain`)).withResponse();
                assert.equal(data.choices[0].message.content, says);
                assert.equal(data.choices[0].finish_reason, 'stop');
                assert.equal(data.model, `${prefix}-plain`);
                assert.equal(data.usage.prompt_tokens, 25);
                assert.equal(response.headers.get('x-provider-used'), provider);
            });

            test('streams a completion', async () => {
                const stream = await completions().create(request(
                    `${prefix}-plain`, { stream: true, stream_options: { include_usage: true } },
                ));
                let text = '';
                let usage = null;
                const reasons = [];
                for await (const chunk of stream) {
                    text += chunk.choices[0]?.delta.content ?? '';
                    if (chunk.choices[0]?.finish_reason) reasons.push(chunk.choices[0].finish_reason);
                    usage = chunk.usage ?? usage;
                }
                assert.equal(text, says);
                assert.deepEqual(reasons, ['stop']);
                assert.equal(usage.prompt_tokens, 25);
            });

            for (const stream of [false, true]) {
                test(`runs a tool and hands its result back (stream: ${stream})`, async () => {
                    const model = `${prefix}-tool-openai-${version}`;
                    const before = fleet.providers[provider].requests(model).length;
                    const seen = [];
                    const runner = completions().runTools(request(model, {
                        stream,
                        tools: [{
                            type: 'function',
                            function: {
                                name: 'get_weather',
                                parse: JSON.parse,
                                parameters: { type: 'object', properties: { city: { type: 'string' } } },
                                function: (input) => { seen.push(input); return 'minus ten'; },
                            },
                        }],
                    }));
                    assert.equal(await runner.finalContent(), 'It is cold.');
                    assert.deepEqual(seen, [kInput]);
                    const [asked, answered] = (await recorded(provider, model, before + 2)).slice(before);
                    assert.ok(JSON.stringify(asked.tools).includes('get_weather'));
                    const result = prefix === 'claude' ? '"type":"tool_result"' : '"role":"tool"';
                    assert.ok(JSON.stringify(answered.messages).includes(result));
                    assert.ok(JSON.stringify(answered.messages).includes('minus ten'));
                });
            }

            test('shows an image', async () => {
                const model = `${prefix}-image-${version}`;
                await completions().create(request(model, {
                    messages: [{
                        role: 'user',
                        content: [
                            { type: 'text', text: 'What is this?' },
                            { type: 'image_url', image_url: { url: `data:image/png;base64,${kImage}` } },
                        ],
                    }],
                }));
                const [{ messages }] = await recorded(provider, model);
                const image = messages[0].content[1];
                if (prefix === 'claude') {
                    assert.deepEqual(image.source, { type: 'base64', media_type: 'image/png', data: kImage });
                } else {
                    assert.equal(image.image_url.url, `data:image/png;base64,${kImage}`);
                }
            });

            test('gets typed errors of the provider', async () => {
                for (const stream of [false, true]) {
                    const bad = await failure(() => completions().create(request(`${prefix}-rejected`, { stream })));
                    assert.ok(bad instanceof OpenAI.BadRequestError, String(bad));
                    assert.equal(bad.type, 'invalid_request_error');
                    const limited = await failure(() => completions().create(request(`${prefix}-limited`, { stream })));
                    assert.ok(limited instanceof OpenAI.RateLimitError, String(limited));
                    assert.equal(limited.code, 'rate_limit_exceeded');
                    assert.equal(limited.headers.get('retry-after'), '7');
                }
            });

            test('does not notice a failover to the other type', async () => {
                const stream = await completions().create(request(`first-${prefix}`, { stream: true }));
                let text = '';
                for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
                assert.equal(text, kSides.find((side) => side.prefix !== prefix).says);
            });

            test('cancels the provider\'s work when it aborts', () => abandons(provider, `${prefix}-slow`, async (model) => {
                const stream = await completions().create(request(model, { stream: true }));
                for await (const chunk of stream) {
                    if (chunk.choices[0]?.delta.content) stream.controller.abort();
                }
            }));

            for (const model of ['cut', 'clean-but-early']) {
                test(`never takes a broken stream for a whole one (${model})`, async () => {
                    const reasons = [];
                    const error = await failure(async () => {
                        const stream = await completions().create(request(`${prefix}-${model}`, { stream: true }));
                        for await (const chunk of stream) reasons.push(chunk.choices[0]?.finish_reason);
                    });
                    assert.ok(error instanceof Error);
                    assert.ok(reasons.length > 0 && reasons.every((reason) => !reason));
                });
            }
        });
    }

    describe(`openai ${version}`, () => {
        test('gets typed errors of the balancer', async () => {
            const wrong = clientWith('not-the-key').chat.completions;
            const unknown = await failure(() => wrong.create(request('gpt-plain')));
            assert.ok(unknown instanceof OpenAI.AuthenticationError);
            assert.equal(unknown.code, 'AUTH_FAILED');
            const lost = await failure(() => completions().create(request('nobody-has-this')));
            assert.ok(lost instanceof OpenAI.NotFoundError);
            assert.equal(lost.code, 'NO_ROUTE');
        });
    });
}

describe('@anthropic-ai/sdk with a provider of type openai', () => {
    const { Anthropic, BadRequestError, RateLimitError } = require('anthropic-sdk-1');
    const messages = () =>
        new Anthropic({ baseURL: fleet.baseURL, apiKey: kClientKey, maxRetries: 0, timeout: 30_000 }).messages;
    const asking = (model, more = {}) => request(model, { max_tokens: 1024, ...more });

    test('creates and streams a message', async () => {
        const message = await messages().create(asking('gpt-plain'));
        assert.equal(message.content[0].text, 'I am another.');
        assert.equal(message.model, 'gpt-plain');
        assert.equal(message.stop_reason, 'end_turn');
        const streamed = await messages().stream(asking('gpt-plain')).finalMessage();
        assert.equal(streamed.content[0].text, 'I am another.');
    });

    test('makes a tool round trip', async () => {
        const sent = asking('gpt-tool-anthropic', {
            tools: [{ name: 'get_weather', input_schema: { type: 'object', properties: {} } }],
        });
        const first = await messages().stream(sent).finalMessage();
        const call = first.content.find((block) => block.type === 'tool_use');
        assert.equal(first.stop_reason, 'tool_use');
        assert.deepEqual(call.input, kInput);
        sent.messages.push(
            { role: 'assistant', content: first.content },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'minus ten' }] },
        );
        const second = await messages().create(sent);
        assert.equal(second.content[0].text, 'It is cold.');
        const [, answered] = await recorded('other', 'gpt-tool-anthropic', 2);
        assert.deepEqual(answered.messages.at(-1), { role: 'tool', tool_call_id: call.id, content: 'minus ten' });
    });

    test('shows an image', async () => {
        const source = { type: 'base64', media_type: 'image/png', data: kImage };
        await messages().create(asking('gpt-image-anthropic', {
            messages: [{ role: 'user', content: [{ type: 'image', source }] }],
        }));
        const [seen] = await recorded('other', 'gpt-image-anthropic');
        assert.equal(seen.messages[0].content[0].image_url.url, `data:image/png;base64,${kImage}`);
    });

    test('gets typed errors', async () => {
        const bad = await failure(() => messages().create(asking('gpt-rejected')));
        assert.ok(bad instanceof BadRequestError);
        assert.equal(bad.error.error.type, 'invalid_request_error');
        const limited = await failure(() => messages().create(asking('gpt-limited')));
        assert.ok(limited instanceof RateLimitError);
        assert.equal(limited.headers.get('retry-after'), '7');
    });

    test('cancels the provider\'s work when it aborts', () => abandons('other', 'gpt-slow', async (model) => {
        const stream = await messages().create(asking(model, { stream: true }));
        for await (const event of stream) {
            if (event.type === 'content_block_delta') stream.controller.abort();
        }
    }));
});
