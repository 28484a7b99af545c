// What an operator changes by hand.
#include <fmt/format.h>

#include <algorithm>

#include "controlplane/config/edits.hpp"
#include "controlplane/config/find_provider.hpp"
#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {
namespace {

// Routes that nobody can serve now: allowed, but not to be done unawares.
void add_deserted_routes(const v1::ConfigSection& config, v1::ChangeResponse& response) {
    for (const v1::Route& route : config.routes()) {
        bool served = std::any_of(
            route.targets().begin(),
            route.targets().end(),
            [&](const v1::RouteTarget& target) {
                const v1::Provider* provider = find_provider(config, target.provider());
                return target.enabled() && provider != nullptr && provider->enabled();
            }
        );
        if (served) continue;
        response.add_warnings(fmt::format("route '{}' has no enabled provider", route.pattern()));
    }
}

// Problems of an edit: lines and columns would be those of a text that nobody has seen.
Error refusal(const std::vector<ConfigProblem>& problems) {
    std::string text = "this would not be a good configuration; nothing has changed:";
    for (std::size_t i = 0; i < std::min<std::size_t>(problems.size(), 20); ++i) {
        ConfigProblem problem = problems[i];
        problem.file = std::exchange(problem.path, std::string());
        problem.line = 0;
        if (problem.file.empty()) problem.file = "configuration";
        text += '\n' + to_string(problem);
    }
    return invalid(std::move(text));
}

// A text of the request; an empty one takes the key out.
std::optional<YamlTree> text_or_none(const std::string& text) {
    if (text.empty()) return std::nullopt;
    return text_scalar(text);
}

std::optional<YamlTree> number_or_none(std::uint32_t number) {
    if (number == 0) return std::nullopt;
    return plain_scalar(std::to_string(number));
}

// In the order of config.example.yaml.
ProviderKeys keys_of(const v1::ProviderEdit& edit) {
    ProviderKeys keys;
    if (edit.has_type()) keys.emplace_back("type", text_or_none(edit.type()));
    if (edit.has_base_url()) keys.emplace_back("base_url", text_or_none(edit.base_url()));
    if (edit.has_auth_type()) keys.emplace_back("auth_type", text_or_none(edit.auth_type()));
    if (edit.has_auth_value()) keys.emplace_back("auth_value", text_or_none(edit.auth_value()));
    if (edit.has_enabled()) {
        keys.emplace_back("enabled", plain_scalar(edit.enabled() ? "true" : "false"));
    }
    if (edit.has_streaming_mode()) {
        keys.emplace_back("streaming_mode", text_or_none(edit.streaming_mode()));
    }
    if (edit.has_proxy()) keys.emplace_back("proxy", text_or_none(edit.proxy()));
    if (edit.has_weight()) keys.emplace_back("weight", number_or_none(edit.weight()));
    if (edit.has_max_concurrency()) {
        keys.emplace_back("max_concurrency", number_or_none(edit.max_concurrency()));
    }
    if (edit.has_ca_file()) keys.emplace_back("ca_file", text_or_none(edit.ca_file()));
    return keys;
}

TargetKeys keys_of(const v1::TargetEdit& edit) {
    TargetKeys keys{edit.pattern(), edit.provider(), {}, {}, {}};
    if (edit.has_model()) keys.model = edit.model();
    if (edit.has_priority()) keys.priority = edit.priority();
    if (edit.has_enabled()) keys.enabled = edit.enabled();
    return keys;
}

// What one edit did, in words: the first is its sentence, the others are warnings.
using Words = std::vector<std::string>;

Result<Words> apply(const v1::AddProviderEdit& edit, YamlEdit& yaml) {
    const std::string& name = edit.provider().name();
    Result<void> added = add_provider(yaml, name, keys_of(edit.provider()));
    if (!added) return added.error();
    for (v1::TargetEdit target : edit.targets()) {
        target.set_provider(name);
        Result<void> set = set_target(yaml, keys_of(target));
        if (!set) return set.error();
    }
    Words words = {fmt::format("'{}' is added", name)};
    if (edit.targets().empty()) {
        words.push_back(
            fmt::format("no route leads to '{}' yet: see `balancerctl routes set`", name)
        );
    }
    return words;
}

Result<Words> apply(const v1::UpdateProviderEdit& edit, YamlEdit& yaml) {
    const std::string& name = edit.provider().name();
    Result<void> updated = update_provider(yaml, name, keys_of(edit.provider()));
    if (!updated) return updated.error();
    return Words{fmt::format("'{}' is changed", name)};
}

Result<Words> apply(const v1::RemoveProviderEdit& edit, YamlEdit& yaml) {
    Result<Words> besides = remove_provider(yaml, edit.name(), edit.with_routes());
    if (!besides) return besides;
    besides->insert(besides->begin(), fmt::format("'{}' is removed", edit.name()));
    return besides;
}

Result<Words> apply(const v1::TargetEdit& edit, YamlEdit& yaml) {
    Result<void> set = set_target(yaml, keys_of(edit));
    if (!set) return set.error();
    return Words{fmt::format("route '{}' leads to '{}'", edit.pattern(), edit.provider())};
}

Result<Words> apply(const v1::RemoveTargetEdit& edit, YamlEdit& yaml) {
    Result<void> removed = remove_target(yaml, edit.pattern(), edit.provider());
    if (!removed) return removed.error();
    if (edit.provider().empty()) return Words{fmt::format("route '{}' is removed", edit.pattern())};
    return Words{
        fmt::format("route '{}' does not lead to '{}' any more", edit.pattern(), edit.provider())};
}

Result<Words> apply(const v1::EditConfigRequest& request, YamlEdit& yaml) {
    switch (request.edit_case()) {
        case v1::EditConfigRequest::kAddProvider:
            return apply(request.add_provider(), yaml);
        case v1::EditConfigRequest::kUpdateProvider:
            return apply(request.update_provider(), yaml);
        case v1::EditConfigRequest::kRemoveProvider:
            return apply(request.remove_provider(), yaml);
        case v1::EditConfigRequest::kSetTarget:
            return apply(request.set_target(), yaml);
        case v1::EditConfigRequest::kRemoveTarget:
            return apply(request.remove_target(), yaml);
        case v1::EditConfigRequest::EDIT_NOT_SET:
            break;
    }
    return invalid("the request names no edit: balancerctl is of another release");
}

Origin by_hand(const v1::ChangeContext& context) {
    return Origin{RevisionSource::kCli, context.actor(), context.reason()};
}

const char* word_of(bool enabled, bool drain) {
    if (drain) return "drained";
    return enabled ? "enabled" : "disabled";
}

Result<void> check_etag(
    const v1::ConfigSection& config, const std::string& name, const std::string& if_etag
) {
    const v1::Provider* provider = find_provider(config, name);
    if (if_etag.empty() || provider == nullptr || provider->etag() == if_etag) return {};
    return invalid(fmt::format(
        "'{}' has been changed since: its etag is {} now, not {}; look at `balancerctl providers "
        "get {}` and try again",
        name,
        provider->etag(),
        if_etag,
        name
    ));
}

}  // namespace

Result<void> ControlPlane::check_enable(const v1::Provider& provider) const {
    if (provider.credential_ref().empty()) return {};
    const auto& all = revisions_.loaded().credentials.credentials();
    bool found = std::any_of(all.begin(), all.end(), [&](const v1::Credential& credential) {
        return credential.ref() == provider.credential_ref();
    });
    if (found) return {};
    if (std::string problem = credential_problem(provider.name()); !problem.empty()) {
        return invalid(fmt::format("'{}' cannot be used: {}", provider.name(), problem));
    }
    return invalid(fmt::format(
        "'{}' has no credential: give its auth_value in {} and reload",
        provider.name(),
        options_.config_file.string()
    ));
}

Result<v1::ChangeResponse> ControlPlane::no_change(std::string message) const {
    v1::ChangeResponse response;
    *response.mutable_version() = publisher_.head();
    response.set_revision(revisions_.head().number);
    response.set_message(std::move(message));
    return response;
}

// The end of every change by hand: shown, or made.
Result<v1::ChangeResponse> ControlPlane::finish(
    Candidate candidate, const v1::ChangeContext& context, std::string message
) {
    v1::ChangeResponse response;
    const std::uint64_t before = revisions_.head().number;
    Result<std::string> diff = revisions_.diff(
        revisions_.head(),
        candidate.revision,
        fmt::format("revision {}", before),
        context.dry_run() ? "what it would be" : fmt::format("revision {}", before + 1)
    );
    if (!diff) return diff.error();
    response.set_diff(*std::move(diff));
    for (const std::string& notice : candidate.notices) response.add_warnings(notice);
    const std::vector<std::string>& old = revisions_.loaded().notices;
    for (const std::string& notice : candidate.loaded.notices) {
        if (std::find(old.begin(), old.end(), notice) == old.end()) response.add_warnings(notice);
    }
    add_deserted_routes(candidate.config, response);
    Result<void> served = check_some_enabled(candidate.config, context.force());
    if (!served) return served.error();
    if (Result<void> fits = check_size(candidate.config, candidate.loaded); !fits) return fits.error();
    response.set_changed(true);
    response.set_message(std::move(message));
    if (context.dry_run()) {
        response.set_dry_run(true);
    } else {
        if (Result<void> sealed = store_held_key(); !sealed) return sealed.error();
        Result<void> done = put_in_force(
            std::move(candidate), fmt::format("{} by hand", response.message()), context.force()
        );
        if (!done) {
            drop_held_key();
            return done.error();
        }
    }
    *response.mutable_version() = publisher_.head();
    response.set_revision(revisions_.head().number);
    return response;
}

Result<v1::ChangeResponse> ControlPlane::set_provider_enabled(
    const v1::SetProviderEnabledRequest& request
) {
    Result<void> current = revisions_.check_revision(request.context().if_revision());
    if (!current) return current.error();
    const v1::Provider* provider = find_provider(config_, request.name());
    if (provider == nullptr) {
        const v1::Provider* account = find_provider(published_, request.name());
        if (account == nullptr) return unknown_provider(request.name());
        return invalid(fmt::format(
            "'{}' is an account of '{}', and only that can be enabled or disabled; an account is taken out of use by "
            "`accounts` of the provider, or by `balancerctl oauth logout {}`",
            request.name(),
            account->group(),
            account->account()
        ));
    }
    const bool drain = request.drain() && !request.enabled();
    const char* word = word_of(request.enabled(), drain);
    std::vector<Override> overrides = revisions_.head().overrides;
    auto mine = std::find_if(overrides.begin(), overrides.end(), [&](const Override& entry) {
        return entry.provider == request.name();
    });
    const bool drained = mine != overrides.end() && mine->drain;
    if (provider->enabled() == request.enabled() && (drained == drain || !drained)) {
        return no_change(
            fmt::format("'{}' is {} already", request.name(), word_of(provider->enabled(), drained))
        );
    }
    if (!request.enabled() && provider->enabled() && count_enabled(config_) == 1 &&
        !request.context().force()) {
        return invalid(fmt::format(
            "'{}' is the last enabled provider: without it nobody could answer; enable another one "
            "first, or say --force",
            provider->name()
        ));
    }
    if (request.enabled()) {
        if (Result<void> good = check_enable(*provider); !good) return good.error();
    }
    if (mine != overrides.end()) overrides.erase(mine);
    const bool in_file = find_provider(revisions_.loaded().config, request.name())->enabled();
    if (in_file != request.enabled()) {
        overrides.push_back(Override{
            request.name(),
            request.enabled(),
            in_file,
            request.context().reason(),
            request.context().actor(),
            unix_now(),
            drain,
        });
    }
    Candidate candidate = revisions_.with_overrides(
        std::move(overrides),
        by_hand(request.context()),
        fmt::format("provider '{}' {}", request.name(), word)
    );
    return finish(
        std::move(candidate), request.context(), fmt::format("'{}' is {}", request.name(), word)
    );
}

Result<v1::ChangeResponse> ControlPlane::edit_config(const v1::EditConfigRequest& request) {
    v1::EditConfigRequest prepared = request;
    if (prepared.has_add_provider()) hold_key(*prepared.mutable_add_provider()->mutable_provider());
    if (prepared.has_update_provider()) hold_key(*prepared.mutable_update_provider()->mutable_provider());
    Result<v1::ChangeResponse> done = edit_text(prepared);
    held_key_.reset();
    return done;
}

// After its secret has become a reference.
Result<v1::ChangeResponse> ControlPlane::edit_text(const v1::EditConfigRequest& request) {
    Result<void> current = revisions_.check_revision(request.context().if_revision());
    if (!current) return current.error();
    const v1::UpdateProviderEdit& update = request.update_provider();
    current = check_etag(config_, update.provider().name(), update.if_etag());
    if (!current) return current.error();
    const v1::RemoveProviderEdit& remove = request.remove_provider();
    current = check_etag(config_, remove.name(), remove.if_etag());
    if (!current) return current.error();

    Result<YamlEdit> edit = YamlEdit::begin(revisions_.head().yaml);
    if (!edit) return edit.error();
    Result<Words> words = apply(request, *edit);
    if (!words) return words.error();
    Result<std::string> yaml = edit->finish();
    if (!yaml) return yaml.error();
    if (*yaml == revisions_.head().yaml) return no_change(words->front() + " already");
    Proposal proposal = revisions_.with_text(*std::move(yaml), by_hand(request.context()));
    if (auto* problems = std::get_if<std::vector<ConfigProblem>>(&proposal)) {
        return refusal(*problems);
    }
    Candidate& candidate = std::get<Candidate>(proposal);
    if (edit->rewritten()) {
        candidate.notices.push_back(
            "the text had to be written anew for this: its comments are lost (they are still in "
            "the file, and in the revision before)"
        );
    }
    candidate.notices.insert(candidate.notices.end(), words->begin() + 1, words->end());
    return finish(std::move(candidate), request.context(), words->front());
}

Result<v1::ChangeResponse> ControlPlane::reset_provider(const v1::ResetProviderRequest& request) {
    bool clean = true;
    const v1::HealthSection before = merger_.section();
    for (const v1::ProviderHealth& entry : before.providers()) {
        const v1::Provider* provider = find_provider(published_, entry.provider());
        if (entry.provider() != request.name() && (provider == nullptr || provider->group() != request.name())) continue;
        clean = clean && entry.failure_count() == 0 && entry.circuit() == v1::CIRCUIT_CLOSED;
    }
    bool found = false;
    std::vector<std::string> accounts;
    for (const v1::Provider& provider : published_.providers()) {
        if (provider.name() != request.name() && provider.group() != request.name()) continue;
        found = merger_.reset(provider.name(), now()) || found;
        const Account* account = custody_.find(provider.account());
        if (account == nullptr) continue;
        clean = clean && account->held_until <= now() && account->family_holds.empty();
        accounts.push_back(account->name);
    }
    if (!found) return unknown_provider(request.name());
    for (const std::string& account : accounts) custody_.lift_holds(account);  // publishes anew
    hold_custody_.keep(merger_.holds(), HoldCustody::When::kAtOnce);
    // Published even when the fleet had nothing against it: a data plane may have, on its own.
    publish_health(fmt::format("'{}' reset by hand", request.name()));
    v1::ChangeResponse response;
    *response.mutable_version() = publisher_.head();
    response.set_revision(revisions_.head().number);
    response.set_changed(!clean);
    response.set_message(fmt::format(
        "'{}' {}", request.name(), clean ? "had nothing against it" : "has a clean record again"
    ));
    return response;
}

}  // namespace balancer::controlplane
