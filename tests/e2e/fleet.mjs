// Starts the built programs as an operator would: one control plane, two data planes on one port,
// fake providers.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

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

class FakeProvider {
    constructor(name, script, binDir, directory) {
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
            ...(oauth ? { auth_type: 'oauth' } : { auth_type: 'api_key', auth_value: key }),
        })),
        model_routes: Object.fromEntries(
            Object.entries(routes).map(([pattern, names]) => [pattern, targets(names)]),
        ),
        settings: {
            unhealthy_threshold: 1000,
            unhealthy_http_codes: [429, 500, 502, 503, 529],
            auth: { enabled: true, api_key: clientKey },
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
        this.providers = {};
        for (const [name, script] of Object.entries(scripts)) {
            const provider = new FakeProvider(name, script, this.binDir, this.directory);
            this.programs.push(provider.program);
            this.providers[name] = provider;
            await provider.start();
        }
        this.idp = oauth.length > 0 ? await this.startIdp() : null;
        const configFile = path.join(this.directory, 'config.yaml');
        const rows = Object.entries(this.providers).map(([name, { address }]) => ({
            name,
            address,
            key: `key-of-${name}`,
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
        const addresses = path.join(this.directory, 'idp.addresses.json');
        return this.run('idp', 'fake-idp', ['--addresses-file', addresses]).addresses(addresses);
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
        await this.controlPlane.ready(addresses.http);
    }

    // Returns the address it listens on.
    async startDataPlane(id, listen) {
        const state = path.join(this.directory, id);
        const program = this.run(id, 'balancer-dataplane', [
            ...['--control-plane', this.grpcAddress, '--state-dir', state, '--id', id],
            ...['--token-file', path.join(this.controlState, 'dataplane.token')],
            ...['--listen', listen, '--admin', '127.0.0.1:0', '--workers', '1'],
        ]);
        const addresses = await program.addresses(path.join(state, 'addresses.json'));
        await program.ready(addresses.admin);
        return addresses.listen;
    }

    // Name and result of every program that did not end with code 0.
    async stop() {
        const unclean = [];
        for (const program of this.programs.reverse()) {
            const result = await program.stop();
            if (result !== 0) unclean.push(`${program.name}: ${result}\n${program.log()}`);
        }
        return unclean;
    }
}
