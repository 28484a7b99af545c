// providers add, update, remove; routes set, remove.
#include <fmt/format.h>

#include "cli/command/change.hpp"
#include "cli/command/commands.hpp"

namespace balancer::cli {
namespace {

constexpr std::size_t kKeyBytesMax = 64 << 10;

int wrong_usage(Session& session, const std::string& text) {
    session.err << paint("balancerctl: ", Tone::kBad, session.color) << text << '\n';
    return kUsage;
}

// A literal, which the control plane seals: what would be taken for a reference is written so that it is not.
Result<std::string> as_literal(std::string secret) {
    while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
    if (secret.empty()) return invalid("standard input has no key");
    if (secret.starts_with("file:") || secret.starts_with("sealed:") || secret == "passthrough") {
        return invalid("what standard input has is not a key: see --key-file and --passthrough");
    }
    for (std::size_t at = 0; (at = secret.find("${", at)) != std::string::npos; at += 3) {
        secret.insert(at, "$");
    }
    return secret;
}

// As it stands in the configuration; none: not given.
Result<std::optional<std::string>> key_value(Session& session, const KeyFlags& key) {
    if (key.passthrough) return std::optional<std::string>("passthrough");
    if (!key.file.empty()) return std::optional<std::string>("file:" + key.file);
    if (!key.variable.empty()) return std::optional<std::string>("${" + key.variable + "}");
    if (!key.from_stdin) return std::optional<std::string>();
    std::string text(kKeyBytesMax + 1, '\0');
    session.in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(session.in.gcount()));
    if (text.size() > kKeyBytesMax) return invalid("standard input is too long for a key");
    Result<std::string> literal = as_literal(std::move(text));
    if (!literal) return literal.error();
    return std::optional<std::string>(*std::move(literal));
}

// A password that stands in it as it is has been seen by everybody already.
bool shows_a_password(const std::string& proxy) {
    std::size_t at = proxy.rfind('@');
    if (at == std::string::npos) return false;
    std::size_t scheme = proxy.find("://");
    std::size_t colon = proxy.find(':', scheme == std::string::npos ? 0 : scheme + 3);
    if (colon == std::string::npos || colon > at) return false;
    std::string password = proxy.substr(colon + 1, at - colon - 1);
    return !(password.starts_with("${") && password.ends_with('}'));
}

// Fills the edit; kDone, or the exit code after a complaint.
int fill(Session& session, const ProviderFlags& flags, v1::ProviderEdit& edit) {
    if (flags.proxy && shows_a_password(*flags.proxy)) {
        return wrong_usage(
            session,
            "a password does not belong on the command line: put it into a variable of the control "
            "plane's environment and write --proxy 'http://user:${NAME}@host:port'"
        );
    }
    Result<std::optional<std::string>> key = key_value(session, flags.key);
    if (!key) return wrong_usage(session, key.error().text());
    if (*key) edit.set_auth_value(**key);
    if (flags.type) edit.set_type(*flags.type);
    if (flags.base_url) edit.set_base_url(*flags.base_url);
    if (flags.auth_type) edit.set_auth_type(*flags.auth_type);
    if (flags.proxy) edit.set_proxy(*flags.proxy);
    if (flags.ca_file) edit.set_ca_file(*flags.ca_file);
    if (flags.streaming_mode) edit.set_streaming_mode(*flags.streaming_mode);
    if (flags.weight) edit.set_weight(*flags.weight);
    if (flags.max_concurrency) edit.set_max_concurrency(*flags.max_concurrency);
    if (flags.disabled) edit.set_enabled(false);
    return kDone;
}

int send(Session& session, v1::EditConfigRequest request, const ChangeFlags& flags) {
    *request.mutable_context() = change_context(flags);
    return report_change(
        session, session.client.call(&v1::Admin::Stub::EditConfig, request), flags
    );
}

}  // namespace

int add_provider(
    Session& session,
    const std::string& name,
    const ProviderFlags& provider,
    const TargetFlags& target,
    const ChangeFlags& flags
) {
    if (provider.patterns.empty() && (target.model || target.priority)) {
        return wrong_usage(session, "--model and --priority go with --route PATTERN");
    }
    v1::EditConfigRequest request;
    v1::AddProviderEdit& add = *request.mutable_add_provider();
    add.mutable_provider()->set_name(name);
    if (int code = fill(session, provider, *add.mutable_provider()); code != kDone) return code;
    for (const std::string& pattern : provider.patterns) {
        v1::TargetEdit& edit = *add.add_targets();
        edit.set_pattern(pattern);
        if (target.model) edit.set_model(*target.model);
        if (target.priority) edit.set_priority(*target.priority);
    }
    return send(session, std::move(request), flags);
}

int update_provider(
    Session& session,
    const std::string& name,
    const ProviderFlags& provider,
    const ChangeFlags& flags
) {
    v1::EditConfigRequest request;
    v1::UpdateProviderEdit& update = *request.mutable_update_provider();
    if (int code = fill(session, provider, *update.mutable_provider()); code != kDone) return code;
    if (update.provider().ByteSizeLong() == 0) {
        return wrong_usage(
            session, "nothing to change was given: see balancerctl providers update --help"
        );
    }
    update.mutable_provider()->set_name(name);
    update.set_if_etag(provider.if_etag);
    return send(session, std::move(request), flags);
}

int remove_provider(
    Session& session,
    const std::string& name,
    const ProviderFlags& provider,
    const ChangeFlags& flags
) {
    v1::EditConfigRequest request;
    v1::RemoveProviderEdit& remove = *request.mutable_remove_provider();
    remove.set_name(name);
    remove.set_with_routes(provider.with_routes);
    remove.set_if_etag(provider.if_etag);
    return send(session, std::move(request), flags);
}

int set_route(Session& session, const TargetFlags& target, const ChangeFlags& flags) {
    v1::EditConfigRequest request;
    v1::TargetEdit& edit = *request.mutable_set_target();
    edit.set_pattern(target.pattern);
    edit.set_provider(target.provider);
    if (target.model) edit.set_model(*target.model);
    if (target.priority) edit.set_priority(*target.priority);
    if (target.enabled) edit.set_enabled(*target.enabled);
    return send(session, std::move(request), flags);
}

int remove_route(Session& session, const TargetFlags& target, const ChangeFlags& flags) {
    v1::EditConfigRequest request;
    request.mutable_remove_target()->set_pattern(target.pattern);
    request.mutable_remove_target()->set_provider(target.provider);
    return send(session, std::move(request), flags);
}

}  // namespace balancer::cli
