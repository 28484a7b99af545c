// Counts of the running data plane against the packages that its encodings come from; and its lists of models, as
// Anthropic's SDKs read them.
// node tokens_test.mjs BIN_DIR WORK_DIR (WORK_DIR holds node_modules)
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { secret } from './canary.mjs';
import { Fleet } from './fleet.mjs';

const [binDir, workDir] = process.argv.slice(2).map((directory) => path.resolve(directory));
const require = createRequire(path.join(workDir, 'package.json'));
const { get_encoding: getEncoding } = require('tiktoken');
const { getTokenizer } = require('@anthropic-ai/tokenizer');

const kClientKey = secret('client-key');
const kPath = '/v1/messages/count_tokens';

const claude = getTokenizer();
const cl100k = getEncoding('cl100k_base');
const o200k = getEncoding('o200k_base');

// By the model that has the encoding. Claude's as the package's own countTokens does it.
const kPackages = {
    'claude-sonnet-4-5': (text) => claude.encode(text.normalize('NFKC'), 'all').length,
    'gpt-4': (text) => cl100k.encode_ordinary(text).length,
    'gpt-4o': (text) => o200k.encode_ordinary(text).length,
};

// The only provider does not count.
const fleet = new Fleet(binDir, path.join(workDir, 'tokens-state'));
before(() => fleet.start({ alpha: { rules: [{ match: { path: kPath }, steps: [{ status: 404 }] }] } }, kClientKey));
after(async () => {
    const wrong = await fleet.stop();
    if (wrong.length > 0) throw new Error(`what was wrong: ${wrong.join('\n')}`);
});

async function count(body) {
    const answer = await fetch(fleet.baseURL + kPath, {
        method: 'POST',
        headers: { 'x-api-key': kClientKey, 'content-type': 'application/json' },
        body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200);
    assert.ok(answer.headers.get('x-balancer-counted-with'));
    return (await answer.json()).input_tokens;
}

// Always the same ones.
function makeRandom(seed) {
    return (below) => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        return Math.floor(((seed >>> 8) / 2 ** 24) * below);
    };
}

const kPieces = [
    ...[' ', '  ', '    ', '\n', '\r\n', '\n\n', '\t', '\u00a0', '\u2003', '\u3000', '\u0085', '\u2028', '\u180e'],
    ...['it', "'s", "'S", "'RE", "'ſ", "'ll", "I'D", 'hello', ' Hello', 'HELLO', 'camelCase', 'XMLHttpRequest', '__init__'],
    ...['1', '12', '123', '1234567', '½', '٣', 'Ⅷ', '{"a":', '},', '//', '/*', '=>', '!!', '...', '```js\n', '\\n'],
    ...['é', 'e\u0301', 'ﬁ', 'ｆｕｌｌ', 'ﷺ', 'Å', 'Ω', 'ǅ', 'ʰ', 'ª', 'ß', 'ſ', '\u0301\u0302', 'ㄱ', '\uac00\u11a8'],
    ...['日本語', '漢字かな', '한국어', 'русский', 'العربية', 'עברית', 'हिन्दी', 'ไทย', '👍🏽', '👩‍👩‍👧', '🇩🇪', '\u200b', '\ufeff'],
    ...['<EOT>', '<META_START>', '<META', '<|endoftext|>', '\0', '\u001c'],
];

function randomText(random) {
    let text = '';
    for (let length = 1 + random(60); length > 0; --length) text += kPieces[random(kPieces.length)];
    return text;
}

describe('counting tokens', () => {
    for (const [model, tokens] of Object.entries(kPackages)) {
        const one = async (text) => {
            const counted = await count({ model, messages: [{ role: 'user', content: text }] });
            assert.equal(counted, 4 + tokens('user') + tokens(text), JSON.stringify(text));
        };

        test(`${model}: random texts of many scripts`, async () => {
            const random = makeRandom(15);
            for (let i = 0; i < 300; ++i) await one(randomText(random));
        });

        test(`${model}: source code and prose`, async () => {
            const here = path.dirname(new URL(import.meta.url).pathname);
            for (const file of ['sdk_test.mjs', 'package-lock.json', '../../README.md', '../../LICENSE']) {
                await one(fs.readFileSync(path.join(here, file), 'utf8'));
            }
        });

        test(`${model}: texts of several windows`, async () => {
            const random = makeRandom(16);
            let text = '';
            while (text.length < 300_000) text += `${randomText(random)} word`;
            await one(text);
            await one('x'.repeat(20_000));
        });

        test(`${model}: a whole request`, async () => {
            const schema = { type: 'object', properties: { path: { type: 'string', description: 'Wo? "é" 👍' } } };
            // As json.dumps writes them.
            const python = (value) =>
                JSON.stringify(value)
                    .replaceAll(/("(?:[^"\\]|\\.)*")|([,:])/g, (all, string, mark) => string ?? `${mark} `)
                    .replaceAll(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
            const input = { path: '/tmp/ä', n: [1, 2.5, null, true] };
            const counted = await count({
                model,
                system: [{ type: 'text', text: 'Be brief.' }],
                tools: [{ name: 'ls', description: 'Lists files.', input_schema: schema }],
                messages: [
                    { role: 'user', content: [{ type: 'text', text: 'What is here?' }] },
                    { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'ls', input }] },
                    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: 'a b c' }] },
                ],
            });
            const texts = ['Be brief.', 'user', 'What is here?', 'assistant', 'ls', python(input), 'user', 'a b c'];
            texts.push('ls', 'Lists files.', python(schema));
            const expected = texts.reduce((sum, text) => sum + tokens(text), 3 * 4 + 2);
            assert.equal(counted, expected);
        });
    }
});

for (const sdk of ['anthropic-sdk-0', 'anthropic-sdk-1']) {
    describe(sdk, () => {
        const client = () => {
            const { Anthropic } = require(sdk);
            return new Anthropic({ baseURL: fleet.baseURL, apiKey: kClientKey, maxRetries: 0 });
        };

        test('counts', async () => {
            const messages = [{ role: 'user', content: 'hello world' }];
            const counted = await client().messages.countTokens({ model: 'claude-sonnet-4-5', messages });
            assert.deepEqual(counted, { input_tokens: 4 + 1 + 2 });
        });

        test('lists models, page by page, and finds one', async () => {
            const ids = [];
            for await (const model of client().models.list({ limit: 2 })) ids.push(model.id);
            assert.deepEqual(ids, ['claude-opus-5-5', 'claude-sonnet-4-5-20250929', 'claude-haiku-4-5']);
            const model = await client().models.retrieve('claude-haiku-4-5');
            assert.equal(model.type, 'model');
            const missing = await client().models.retrieve('nothing').then(() => null, (error) => error);
            assert.equal(missing.status, 404);
        });
    });
}
