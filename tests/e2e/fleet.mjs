// Starts the built programs as an operator would: one control plane, two data planes on one port,
// fake providers; an identity provider, if one of them is used by login. Everything that the programs say, write and answer is
// looked through for secrets at the end.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Canaries, secret } from './canary.mjs';

const kStartTimeoutMs = 30_000;

export async function until(what, probe, timeoutMs = 10_000) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
        const value = await probe();
        if (value) return value;
        if (Date.now() > deadline) throw new Error(`gave up waiting for ${what}`);
        await new Promise((wake) => setTimeout(wake, 25));
    }
}

// A program with its log in a file. setpriv makes the kernel end it should this script die without
// saying goodbye.
class Program {
    constructor(name, binary, args, directory) {
        this.name = name;
        this.logFile = path.join(directory, `${name}.log`);
        const log = fs.openSync(this.logFile, 'w');
        this.child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', binary, ...args], {
            cwd: directory,
            stdio: ['ignore', log, log],
        });
        fs.closeSync(log);
        this.exited = new Promise((done) => {
            this.child.once('error', (problem) => done(`could not be started: ${problem.message}`));
            this.child.once('exit', (code, signal) => {
                this.ended = true;
                done(signal ?? code);
            });
        });
    }

    log() {
        return fs.readFileSync(this.logFile, 'utf8');
    }

    // The JSON object in `file`, as soon as it is there.
    async addresses(file) {
        return until(
            `${this.name} to write ${file}`,
            () => {
                if (this.ended) throw new Error(`${this.name} ended early:\n${this.log()}`);
                return fs.existsSync(file) && JSON.parse(fs.readFileSync(file, 'utf8'));
            },
            kStartTimeoutMs,
        );
    }

    async ready(address) {
        await until(
            `${this.name} to be ready`,
            async () => {
                if (this.ended) throw new Error(`${this.name} ended early:\n${this.log()}`);
                const answer = await fetch(`http://${address}/readyz`).catch(() => null);
                return answer?.status === 200;
            },
            kStartTimeoutMs,
        );
    }

    // What it ended with: an exit code, or the name of a signal.
    async stop() {
        if (!this.ended) this.child.kill('SIGTERM');
        return this.exited;
    }
}

// What an operator would look at: words of balancerctl.
const kViews = [
    ['status'], ['config', 'show'], ['config', 'history'], ['config', 'diff'], ['config', 'validate'], ['providers', 'list'],
    ['routes', 'list'], ['dataplanes', 'list'], ['requests'], ['events'], ['oauth', 'status'], ['keys', 'list'],
].flatMap((words) => [words, ['-o', 'json', ...words]]);

class FakeProvider {
    constructor(name, script, binDir, directory) {
        this.key = secret(`key-of-${name}`);
        this.recordFile = path.join(directory, `${name}.requests.jsonl`);
        this.addressesFile = path.join(directory, `${name}.addresses.json`);
        const scriptFile = path.join(directory, `${name}.script.json`);
        fs.writeFileSync(scriptFile, JSON.stringify(script));
        this.program = new Program(
            name,
            path.join(binDir, 'fake-provider'),
            [
                ...['--listen', '127.0.0.1:0', '--script', scriptFile],
                ...['--addresses-file', this.addressesFile, '--record', this.recordFile],
            ],
            directory,
        );
    }

    async start() {
        this.address = (await this.program.addresses(this.addressesFile)).listen;
    }

    // Finished requests whose body names `model`.
    requests(model) {
        if (!fs.existsSync(this.recordFile)) return [];
        const lines = fs.readFileSync(this.recordFile, 'utf8').split('\n').slice(0, -1);
        return lines.map((line) => JSON.parse(line)).filter((r) => r.body.includes(`"${model}"`));
    }
}

// Threshold 1000: the rules of the scripts fail on purpose, and nobody is to be benched for it.
function configuration(providers, routes, clientKey, idp, settings) {
    const targets = (names) => names.map((name, index) => ({
        provider: name,
        model: 'passthrough',
        priority: index + 1,
    }));
    return JSON.stringify({
        providers: providers.map(({ name, address, key, openai, oauth }) => ({
            name,
            type: openai ? 'openai' : 'anthropic',
            base_url: `http://${address}${openai ? '/v1' : ''}`,
            // What is tested is what clients get while it comes.
            streaming_mode: 'direct',
            ...(oauth ? { auth_type: 'oauth' } : { auth_type: 'api_key', auth_value: key }),
        })),
        model_routes: Object.fromEntries(
            Object.entries(routes).map(([pattern, names]) => [pattern, targets(names)]),
        ),
        settings: {
            unhealthy_threshold: 1000,
            unhealthy_http_codes: [429, 500, 502, 503, 529],
            auth: { enabled: true, api_key: clientKey },
            log_level: 'DEBUG',
            log_file_path: 'events.jsonl',
            ...settings,
            ...(idp && { oauth: { ...idp, ...settings.oauth } }),
        },
    });
}

export class Fleet {
    constructor(binDir, directory) {
        this.binDir = binDir;
        this.directory = directory;
        this.programs = [];
        this.canaries = new Canaries();
        this.said = [];  // pairs: where, and what
        this.httpAddresses = {};
        this.listenToAnswers();
    }

    // The SDKs take the fetch that they find.
    listenToAnswers() {
        const plain = globalThis.fetch;
        globalThis.fetch = async (resource, options) => {
            const answer = await plain(resource, options);
            const url = String(resource.url ?? resource);
            if (!this.baseURL || !url.startsWith(this.baseURL)) return answer;
            const entry = [`the answer to ${url}`, JSON.stringify([...answer.headers])];
            this.said.push(entry);
            if (answer.body === null) return answer;
            const decoder = new TextDecoder('latin1');
            const body = answer.body.pipeThrough(new TransformStream({
                transform(chunk, out) {
                    entry[1] += decoder.decode(chunk, { stream: true });
                    out.enqueue(chunk);
                },
            }));
            const { status, statusText, headers } = answer;
            return new Response(body, { status, statusText, headers });
        };
    }

    run(name, binary, args) {
        const program = new Program(name, path.join(this.binDir, binary), args, this.directory);
        this.programs.push(program);
        return program;
    }

    // `scripts` maps provider names to scripts, in order of priority. `openai` names those of type
    // openai, `oauth` those with accounts; `routes` maps patterns to names, by default all models to all providers.
    async start(
        scripts,
        clientKey,
        { openai = [], oauth = [], routes = { '*': Object.keys(scripts) }, settings = {} } = {},
    ) {
        fs.rmSync(this.directory, { recursive: true, force: true });
        fs.mkdirSync(this.directory, { recursive: true });
        this.clientKey = clientKey;
        this.canaries.add('the client key', clientKey);
        this.providers = {};
        for (const [name, script] of Object.entries(scripts)) {
            const provider = new FakeProvider(name, script, this.binDir, this.directory);
            this.programs.push(provider.program);
            this.providers[name] = provider;
            if (!oauth.includes(name)) this.canaries.add(`the key of ${name}`, provider.key);
            await provider.start();
        }
        this.idp = oauth.length > 0 ? await this.startIdp() : null;
        const configFile = path.join(this.directory, 'config.yaml');
        const rows = Object.entries(this.providers).map(([name, { address, key }]) => ({
            name,
            address,
            key,
            openai: openai.includes(name),
            oauth: oauth.includes(name),
        }));
        // JSON is YAML too.
        fs.writeFileSync(configFile, configuration(rows, routes, clientKey, this.idp, settings));
        await this.startControlPlane(configFile);
        const listen = await this.startDataPlane('dp1', '127.0.0.1:0');
        await this.startDataPlane('dp2', listen);
        this.baseURL = `http://${listen}`;
    }

    // Returns its URLs.
    async startIdp() {
        this.issuedFile = path.join(this.directory, 'idp.issued.json');
        const addresses = path.join(this.directory, 'idp.addresses.json');
        const program = this.run('idp', 'fake-idp', [
            ...['--addresses-file', addresses, '--issued-file', this.issuedFile],
        ]);
        return program.addresses(addresses);
    }

    async startControlPlane(configFile) {
        this.controlState = path.join(this.directory, 'control');
        this.controlPlane = this.run('control', 'balancer-controlplane', [
            ...['--config', configFile, '--state-dir', this.controlState],
            ...['--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0'],
        ]);
        const file = path.join(this.controlState, 'addresses.json');
        const addresses = await this.controlPlane.addresses(file);
        this.grpcAddress = addresses.grpc;
        this.httpAddresses.control = addresses.http;
        await this.controlPlane.ready(addresses.http);
        for (const whose of ['admin', 'dataplane']) {
            const token = fs.readFileSync(path.join(this.controlState, `${whose}.token`), 'utf8').trim();
            this.canaries.add(`the ${whose} token`, token);
        }
    }

    // What it ended with.
    async stopControlPlane() {
        await this.observe();
        return this.controlPlane.stop();
    }

    // Returns the address it listens on.
    async startDataPlane(id, listen) {
        const state = path.join(this.directory, id);
        fs.rmSync(path.join(state, 'addresses.json'), { force: true });  // of the run before
        const program = this.run(id, 'balancer-dataplane', [
            ...['--control-plane', this.grpcAddress, '--state-dir', state, '--id', id],
            ...['--token-file', path.join(this.controlState, 'dataplane.token')],
            ...['--listen', listen, '--admin', '127.0.0.1:0', '--workers', '1'],
            ...['--drain-grace', '0'],
        ]);
        const addresses = await program.addresses(path.join(state, 'addresses.json'));
        this.httpAddresses[id] = addresses.admin;
        await program.ready(addresses.admin);
        return addresses.listen;
    }

    // At the client port, with the client key.
    async ask(method, target, body) {
        return fetch(this.baseURL + target, {
            method,
            headers: { 'x-api-key': this.clientKey, 'content-type': 'application/json' },
            ...(body && { body: JSON.stringify(body) }),
        });
    }

    // Logs the account in, as somebody at a browser does who then pastes the code.
    async logIn(account) {
        const begun = await (await this.ask('GET', `/oauth/authorize?format=json&account=${account}`)).json();
        let answer = await fetch(begun.login_url, { redirect: 'manual' });
        if (answer.status === 200) {
            answer = await fetch(begun.login_url, { method: 'POST', body: 'answer=allow', redirect: 'manual' });
        }
        const { searchParams } = new URL(answer.headers.get('location'));
        this.canaries.add(`the code of ${account}'s login`, searchParams.get('code'));
        const code = `${searchParams.get('code')}#${searchParams.get('state')}`;
        const done = await this.ask('POST', '/oauth/exchange-code', { code, account_email: account });
        if (done.status !== 200) throw new Error(`the login failed: ${await done.text()}`);
        await done.text();
    }

    // Exit code and what it says. `input` is what is typed.
    async balancerctl(words, input = '') {
        const args = ['--server', this.grpcAddress, '--token-file', path.join(this.controlState, 'admin.token'), ...words];
        const running = promisify(execFile)(path.join(this.binDir, 'balancerctl'), args, { timeout: 60_000 });
        running.child.stdin.end(input);
        const { code = 0, stdout, stderr } = await running.catch((problem) => problem);
        this.said.push([`balancerctl ${words.join(' ')}`, stdout + stderr]);
        return { code, said: stdout + stderr };
    }

    // Looks at everything that an operator can look at.
    async observe() {
        for (const [name, address] of Object.entries(this.httpAddresses)) {
            for (const page of ['/metrics', '/readyz', '/healthz']) {
                const answer = await fetch(`http://${address}${page}`).catch(() => null);
                if (answer) this.said.push([`${page} of ${name}`, await answer.text()]);
            }
        }
        if (this.baseURL) {
            for (const page of ['/oauth/status', '/providers', '/health', '/', '/v1/models']) {
                const answer = await this.ask('GET', page).catch(() => null);
                await answer?.text();
            }
        }
        if (this.controlPlane && !this.controlPlane.ended) {
            for (const words of kViews) await this.balancerctl(words);
        }
    }

    // Which secret is where it must not be: in an answer, a page, something said, or a file of the programs.
    leaks() {
        const leaks = [];
        const look = (where, content, mayHold) => {
            leaks.push(...this.canaries.find(content, mayHold).map((what) => `${what} in ${where}`));
        };
        for (const [where, content] of this.said) look(where, content);
        // What is not the balancer's: the operator's own file, and what others have received.
        const others = new Map([['config.yaml', () => true], ['idp.issued.json', () => true]]);
        for (const whose of ['admin', 'dataplane']) {
            others.set(path.join('control', `${whose}.token`), (what) => what === `the ${whose} token`);
        }
        others.set(path.join('control', 'sealing.keys'), (what) => what === 'a sealing key');
        for (const name of Object.keys(this.providers)) {
            others.set(`${name}.script.json`, () => true);
            const own = [`the key of ${name}`, `an access token for ${name}`];
            others.set(`${name}.requests.jsonl`, (what) => own.includes(what));
        }
        for (const file of fs.readdirSync(this.directory, { recursive: true, withFileTypes: true })) {
            if (!file.isFile()) continue;
            const full = path.join(file.parentPath ?? file.path, file.name);
            const relative = path.relative(this.directory, full);
            look(relative, fs.readFileSync(full), others.get(relative));
        }
        return leaks;
    }

    // Keeps the files of the control plane and of the data planes as they are while these run, with the journal.
    takeSnapshot() {
        const ownSecrets = ['admin.token', 'dataplane.token', 'sealing.keys'];
        for (const state of ['control', 'dp1', 'dp2']) {
            fs.cpSync(path.join(this.directory, state), path.join(this.directory, 'snapshot', state), {
                recursive: true,
                filter: (file) => !ownSecrets.includes(path.basename(file)),
            });
        }
    }

    learnSealingKeys() {
        const file = path.join(this.controlState, 'sealing.keys');
        const keys = fs.readFileSync(file, 'utf8').match(/\b[0-9a-f]{64}\b/g) ?? [];
        if (keys.length === 0) throw new Error(`no key in ${file}`);
        for (const key of keys) this.canaries.add('a sealing key', key);
    }

    // Every token that was issued is a secret. `provider`: who gets the access tokens.
    learnTokens(provider) {
        if (!this.issuedFile) return { access_tokens: [], refresh_tokens: [] };
        const issued = JSON.parse(fs.readFileSync(this.issuedFile, 'utf8'));
        for (const token of issued.access_tokens) this.canaries.add(`an access token for ${provider}`, token);
        for (const token of issued.refresh_tokens) this.canaries.add('a refresh token', token);
        return issued;
    }

    // What was wrong: name and result of every program that did not end with code 0, and every secret that got out.
    // `subscription`: the provider that gets the access tokens.
    async stop(subscription) {
        await this.observe();
        const wrong = [];
        for (const program of this.programs.reverse()) {
            const result = await program.stop();
            if (result !== 0) wrong.push(`${program.name}: ${result}\n${program.log()}`);
        }
        this.issued = this.learnTokens(subscription);
        this.learnSealingKeys();
        return [...wrong, ...this.leaks()];
    }
}
