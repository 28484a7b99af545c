#include "dataplane/wire/convert/stream_calls.hpp"

#include <algorithm>

#include "dataplane/wire/convert/json_text.hpp"
#include "dataplane/wire/convert/json_write.hpp"

namespace balancer::wire::convert {

void ObjectEnd::feed(std::string_view more) {
    for (char c : more) {
        bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (at_ == At::kInside) {
            step(c);
        } else if (!blank) {
            bool begins = at_ == At::kBefore && c == '{';
            at_ = begins ? At::kInside : At::kOther;
            if (!begins) return;
            began_ = true;
            depth_ = 1;
        }
    }
}

void ObjectEnd::step(char c) {
    if (in_string_) {
        if (escaped_) {
            escaped_ = false;
        } else if (c == '\\') {
            escaped_ = true;
        } else if (c == '"') {
            in_string_ = false;
        }
    } else if (c == '"') {
        in_string_ = true;
    } else if (c == '{' || c == '[') {
        ++depth_;
    } else if ((c == '}' || c == ']') && --depth_ == 0) {
        at_ = At::kBehind;
    }
}

// By index, but for servers that number every call alike or none: there a name begins a call, unless
// it only comes again. A fragment without a name never does, whatever its id: some servers make up a
// new one for each.
bool StreamCalls::continues(Call& call, const OpenaiCall& fragment) {
    if (fragment.name.empty() || call.name.empty()) return true;
    if (!fragment.id.empty() && !call.id.empty()) return fragment.id == call.id;
    if (fragment.name != call.name) return false;
    bool brings_nothing = fragment.arguments.empty() && fragment.arguments_object.empty();
    return brings_nothing || !is_whole(call);
}

StreamCalls::Call& StreamCalls::find(const OpenaiCall& fragment) {
    // The newest first: one of several with the same number is the one that goes on.
    auto newest = std::find_if(calls_.rbegin(), calls_.rend(), [&](const Call& call) {
        return !fragment.index || *fragment.index == call.index;
    });
    if (newest != calls_.rend() && continues(*newest, fragment)) return *newest;
    Call& call = calls_.emplace_back();
    call.index = fragment.index.value_or(calls_.size() - 1);
    return call;
}

bool StreamCalls::add(const OpenaiCall& fragment, std::string& out) {
    if (calls_.size() >= kCallsMax) return false;
    Call& call = find(fragment);
    if (call.id.empty()) call.id = fragment.id;
    if (call.name.empty()) call.name = fragment.name;
    std::size_t before = call.text.size();
    if (!fragment.arguments_object.empty()) {
        call.text.append(fragment.arguments_object);
        append_inside(call.held, fragment.arguments_object);
    } else {
        append_unescaped(call.text, fragment.arguments);
        call.held.append(fragment.arguments);
    }
    call.end.feed(std::string_view(call.text).substr(before));
    bytes_held_ += call.text.size() - before;
    if (call.closed) return is_blank(fragment.arguments) && fragment.arguments_object.empty();
    std::size_t at = static_cast<std::size_t>(&call - calls_.data());
    if (open_ != at && (open_ == kNone || close_if_whole(out))) {
        // The first that waits and has a name: calls go out in their order.
        auto is_waiting = [](const Call& one) { return !one.opened; };
        auto first = std::find_if(calls_.begin(), calls_.end(), is_waiting);
        if (first != calls_.end() && !first->name.empty()) {
            open(static_cast<std::size_t>(first - calls_.begin()), out);
        }
    }
    if (open_ != kNone) pass_on(calls_[open_], out);
    return true;
}

void StreamCalls::open(std::size_t at, std::string& out) {
    Call& call = calls_[at];
    call.opened = true;
    open_ = at;
    events_.start_tool(out, ids_.next(call.id), options_.tool_names.from_openai(call.name));
}

void StreamCalls::pass_on(Call& call, std::string& out) {
    call.passes_on = call.passes_on || call.end.began();
    if (!call.passes_on || call.held.empty()) return;
    events_.tool_input(out, call.held);
    call.held.clear();
}

// The text is read as JSON once, when its brackets say that it is whole: fragments may be as small as a letter.
bool StreamCalls::is_whole(Call& call) {
    if (!call.end.reached()) return false;
    if (!call.is_object) call.is_object = kind_of_arguments(reader_, call.text) == ArgumentsKind::kObject;
    return *call.is_object;
}

bool StreamCalls::close_if_whole(std::string& out) {
    if (open_ == kNone) return true;
    Call& call = calls_[open_];
    return is_whole(call) && close(call, false, out);
}

bool StreamCalls::close(Call& call, bool cut_short, std::string& out) {
    bool good = true;
    if (call.passes_on) {
        pass_on(call, out);
        good = cut_short || is_whole(call);
    } else {
        std::string input;
        append_tool_input(reader_, call.text, input);
        std::string inside;
        append_inside(inside, input);
        events_.tool_input(out, inside);
    }
    if (!good) return false;
    events_.stop_block(out);
    call.closed = true;
    call.held.clear();
    open_ = kNone;
    return true;
}

bool StreamCalls::finish(bool cut_short, std::string& out) {
    if (open_ != kNone && !close(calls_[open_], cut_short, out)) return false;
    for (std::size_t at = 0; at < calls_.size(); ++at) {
        if (calls_[at].opened || calls_[at].name.empty()) continue;
        open(at, out);
        if (!close(calls_[at], cut_short, out)) return false;
    }
    return true;
}

bool StreamCalls::any() const {
    return std::any_of(calls_.begin(), calls_.end(), [](const Call& call) {
        return !call.name.empty();
    });
}

}  // namespace balancer::wire::convert
