#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/command/change.hpp"
#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"
#include "controlplane/service/redacted_print.hpp"
#include "model/capability_table.hpp"
#include "model/from_proto.hpp"

namespace balancer::cli {
namespace {

using Json = nlohmann::ordered_json;

// The map of failures has numbers of classes for keys; a script reads words better.
Json to_document(const v1::ProviderView& view) {
    Json document = to_json(view);
    Json failures = Json::object();
    for (std::uint32_t number = 0; number < 64; ++number) {
        auto found = view.totals().failures().find(number);
        if (found == view.totals().failures().end()) continue;
        failures[class_words(number)] = found->second;
    }
    if (!document["totals"].is_null()) document["totals"]["failures"] = std::move(failures);
    return document;
}

Cell enabled_words(const v1::ProviderView& view) {
    bool enabled = view.provider().enabled();
    std::string text = enabled ? "yes" : "no";
    if (view.draining()) {
        text = view.in_flight() > 0 ? fmt::format("draining, {} in flight", view.in_flight())
                                    : "drained";
    }
    if (enabled != view.enabled_in_file()) text += " (by hand)";
    return Cell(std::move(text), enabled ? Tone::kPlain : Tone::kDim);
}

std::string type_words(const v1::Provider& provider) {
    return provider.type() == v1::PROVIDER_TYPE_OPENAI ? "openai" : "anthropic";
}

std::string auth_words(v1::AuthType type) {
    switch (type) {
        case v1::AUTH_TYPE_API_KEY:
            return "api_key";
        case v1::AUTH_TYPE_AUTH_TOKEN:
            return "auth_token";
        case v1::AUTH_TYPE_PASSTHROUGH:
            return "passthrough (the client's own)";
        case v1::AUTH_TYPE_OAUTH:
            return "oauth";
        default:
            return "unknown";
    }
}

std::string success_words(const v1::ProviderTotals& totals) {
    if (totals.attempts() == 0) return "-";
    double share =
        100.0 * static_cast<double>(totals.successes()) / static_cast<double>(totals.attempts());
    return fmt::format("{:.1f}%", share);
}

// Its own and its models' together.
std::uint32_t failures_of(const v1::ProviderView& view) {
    std::uint32_t sum = view.health().failure_count();
    for (const v1::ProviderHealth& model : view.models()) sum += model.failure_count();
    return sum;
}

UnixMs last_failure_of(const v1::ProviderView& view) {
    UnixMs last = view.health().last_failure_ms();
    for (const v1::ProviderHealth& model : view.models()) {
        last = std::max<UnixMs>(last, model.last_failure_ms());
    }
    return last;
}

std::string cause_words(const v1::ProviderView& view) {
    std::string words = view.credential_problem();
    if (!words.empty() && !view.health().cause().empty()) words += "; ";
    words += view.health().cause();
    for (const v1::ProviderHealth& model : view.models()) {
        if (model.cause().empty()) continue;
        if (!words.empty()) words += "; ";
        words += fmt::format("{}: {}", model.model(), model.cause());
    }
    return words;
}

void print_list(Session& session, const v1::ListProvidersResponse& answer) {
    Table table(
        {"NAME",
         "TYPE",
         "ENABLED",
         "CIRCUIT",
         "FAILURES",
         "LAST FAILURE",
         "ATTEMPTS",
         "GOOD",
         "CAUSE"}
    );
    for (const v1::ProviderView& view : answer.providers()) {
        table.add(
            {view.provider().name(),
             type_words(view.provider()),
             enabled_words(view),
             circuit_words(view, session.now),
             std::to_string(failures_of(view)),
             ago(last_failure_of(view), session.now),
             std::to_string(view.totals().attempts()),
             success_words(view.totals()),
             cause_words(view)}
        );
    }
    table.print(session.out, session.color);
}

// Two lists, so that what is missing is seen at once.
void add_capabilities(Table& table, const v1::Provider& provider) {
    const Capabilities capabilities = capabilities_of(provider);
    std::vector<std::string_view> has;
    std::vector<std::string_view> lacks;
    for (const CapabilitySwitch& one : capability_switches()) {
        if (one.is_of(provider.type())) (capabilities.*one.value ? has : lacks).push_back(one.name);
    }
    table.add({"takes", fmt::format("{}", fmt::join(has, ", "))});
    table.add({"does not take", lacks.empty() ? "-" : fmt::format("{}", fmt::join(lacks, ", "))});
    if (capabilities.output_tokens_max != 0) {
        table.add({"output tokens", fmt::format("at most {}", capabilities.output_tokens_max)});
    }
    if (provider.type() != v1::PROVIDER_TYPE_ANTHROPIC) return;
    const v1::Capabilities& own = provider.capabilities();
    std::string betas = own.has_beta_headers() ? fmt::format("{}", fmt::join(own.beta_headers().patterns(), ", ")) : "all";
    table.add({"beta headers", betas.empty() ? "none" : betas});
    if (!provider.signatures().empty()) table.add({"signatures", "of " + provider.signatures()});
}

void print_facts(Session& session, const v1::ProviderView& view) {
    const v1::Provider& provider = view.provider();
    Table table({});
    table.add({"name", Cell(provider.name(), Tone::kBold)});
    table.add({"type", type_words(provider)});
    table.add({"base url", provider.base_url()});
    table.add({"credential", auth_words(provider.auth_type())});
    if (!view.credential_problem().empty()) table.add({"", Cell(view.credential_problem(), Tone::kBad)});
    table.add({"proxy", provider.proxy_url().empty() ? "none" : provider.proxy_url()});
    add_capabilities(table, provider);
    table.add({"enabled", enabled_words(view)});
    table.add({"etag", view.config_etag().empty() ? provider.etag() : view.config_etag()});
    table.add({"in flight", std::to_string(view.in_flight())});
    table.add({"circuit", circuit_words(view, session.now)});
    if (!view.health().cause().empty()) table.add({"cause", view.health().cause()});
    for (const v1::ProviderHealth& model : view.models()) {
        if (model.cause().empty()) continue;
        table.add({"model", fmt::format("{}: {}", model.model(), model.cause())});
    }
    table.add(
        {"failures",
         fmt::format(
             "{}, last {}", failures_of(view), ago(last_failure_of(view), session.now)
         )}
    );
    table.add(
        {"attempts",
         fmt::format(
             "{} by the fleet, {} good", view.totals().attempts(), success_words(view.totals())
         )}
    );
    for (std::uint32_t number = 0; number < 64; ++number) {
        auto found = view.totals().failures().find(number);
        if (found == view.totals().failures().end()) continue;
        table.add({"", fmt::format("{} {}", found->second, class_words(number))});
    }
    table.print(session.out, session.color);
}

void print_history(Session& session, const v1::ProviderView& view) {
    if (view.health_history().empty()) return;
    session.out << '\n';
    Table history({"CHANGED", "CIRCUIT", "MODEL", "WHY"});
    for (const v1::HealthTransition& one : view.health_history()) {
        history.add(
            {ago(one.at_ms(), session.now),
             fmt::format(
                 "{} -> {}",
                 name_of(circuit_from_proto(one.from())),
                 name_of(circuit_from_proto(one.to()))
             ),
             one.model().empty() ? "(all)" : one.model(),
             one.cause()}
        );
    }
    history.print(session.out, session.color);
}

void print_details(Session& session, const v1::ProviderView& view) {
    print_facts(session, view);
    Table routes({"PATTERN", "MODEL SENT", "PRIORITY"});
    for (const v1::ProviderRoute& route : view.routes()) {
        routes.add(
            {route.pattern(),
             route.model().empty() ? "(the client's)" : route.model(),
             std::to_string(route.priority())}
        );
    }
    session.out << '\n';
    if (routes.empty()) {
        session.out << "no route leads to it\n";
    } else {
        routes.print(session.out, session.color);
    }
    print_history(session, view);
    if (view.recent_failures().empty()) return;
    session.out << '\n';
    Table failures({"FAILED", "CLASS", "STATUS", "MODEL", "REQUEST", "DETAIL"});
    for (const v1::Signal& signal : view.recent_failures()) {
        failures.add(
            {ago(signal.at_ms(), session.now),
             class_words(static_cast<std::uint32_t>(signal.failure())),
             signal.http_status() == 0 ? "-" : std::to_string(signal.http_status()),
             signal.model(),
             signal.request_id(),
             signal.detail()}
        );
    }
    failures.print(session.out, session.color);
}

}  // namespace

int list_providers(Session& session) {
    auto answer = session.client.call(&v1::Admin::Stub::ListProviders, v1::ListProvidersRequest());
    if (!answer) return report(session, answer.error());
    if (session.format == Format::kTable) {
        print_list(session, *answer);
        return kDone;
    }
    Json document = to_json(*answer);
    Json& providers = document["providers"] = Json::array();
    for (const v1::ProviderView& view : answer->providers()) providers.push_back(to_document(view));
    print_document(document, session.format, session.out);
    return kDone;
}

int get_provider(Session& session, const std::string& name) {
    v1::ListProvidersRequest request;
    request.set_name(name);
    auto answer = session.client.call(&v1::Admin::Stub::ListProviders, request);
    if (!answer) return report(session, answer.error());
    if (answer->providers().empty()) {
        return report(session, invalid(fmt::format("there is no provider '{}'", name)));
    }
    if (session.format == Format::kTable) {
        bool first = true;
        for (const v1::ProviderView& view : answer->providers()) {
            if (!std::exchange(first, false)) session.out << '\n';
            print_details(session, view);
        }
        return kDone;
    }
    // The provider of this name; one with accounts is several.
    if (answer->providers_size() == 1) {
        print_document(to_document(answer->providers(0)), session.format, session.out);
        return kDone;
    }
    Json document = Json::array();
    for (const v1::ProviderView& view : answer->providers()) document.push_back(to_document(view));
    print_document(document, session.format, session.out);
    return kDone;
}

int change_provider(
    Session& session, ProviderChange change, const std::string& name, const ChangeFlags& flags
) {
    if (change == ProviderChange::kReset) {
        v1::ResetProviderRequest request;
        *request.mutable_context() = change_context(flags);
        request.set_name(name);
        return report_change(
            session, session.client.call(&v1::Admin::Stub::ResetProvider, request), flags
        );
    }
    v1::SetProviderEnabledRequest request;
    *request.mutable_context() = change_context(flags);
    request.set_name(name);
    request.set_enabled(change == ProviderChange::kEnable);
    request.set_drain(change == ProviderChange::kDrain);
    return report_change(
        session,
        session.client.call(&v1::Admin::Stub::SetProviderEnabled, request),
        flags,
        change == ProviderChange::kDrain ? name : std::string()
    );
}

}  // namespace balancer::cli
