// Known secrets, and where one of them is found in any of the forms that a program might give it.
import crypto from 'node:crypto';

// Like nothing else, so that what is found is no accident.
export function secret(name) {
    return `cnry-${name}-${crypto.randomBytes(12).toString('hex')}`;
}

// The characters that stand for these bytes alone, wherever they begin in a group of three.
function base64Forms(bytes) {
    return [0, 1, 2].map((before) => {
        const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
        const first = Math.ceil((before * 8) / 6);
        return text.slice(first, Math.floor(((before + bytes.length) * 8) / 6));
    });
}

// Pairs of a form's name and its text. The last two are to be looked for in lower case.
function formsOf(secret) {
    const bytes = Buffer.from(secret);
    const hex = bytes.toString('hex');
    const base64 = base64Forms(bytes);
    return [
        ['as it is', secret],
        ['percent-encoded', encodeURIComponent(secret)],
        ...base64.map((text) => ['base64', text]),
        ...base64.map((text) => ['base64url', text.replaceAll('+', '-').replaceAll('/', '_')]),
        ['hex', hex],
        ['percent-encoded', hex.replace(/../g, '%$&')],
    ];
}

export class Canaries {
    constructor() {
        this.known = [];
    }

    add(name, secret) {
        this.known.push({ name, forms: formsOf(secret) });
    }

    // What of the known is in `content`, a text or a buffer; but for those whose names `mayHold` takes.
    find(content, mayHold = () => false) {
        const text = Buffer.isBuffer(content) ? content.toString('latin1') : content;
        const lower = text.toLowerCase();
        const found = [];
        for (const { name, forms } of this.known) {
            if (mayHold(name)) continue;
            const form = forms.find(([, one], index) => (index < forms.length - 2 ? text : lower).includes(one));
            if (form) found.push(`${name} (${form[0]})`);
        }
        return found;
    }
}
