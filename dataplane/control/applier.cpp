#include "dataplane/control/applier.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/file.hpp"

namespace balancer::dataplane {
namespace {

std::string section_name(int kind) {
    switch (kind) {
        case v1::SECTION_KIND_CONFIG:
            return "section/config";
        case v1::SECTION_KIND_HEALTH:
            return "section/health";
        case v1::SECTION_KIND_CREDENTIALS:
            return "section/credentials";
        default:
            return fmt::format("section/{}", kind);
    }
}

bool known(int kind) {
    return kind == v1::SECTION_KIND_CONFIG || kind == v1::SECTION_KIND_HEALTH ||
           kind == v1::SECTION_KIND_CREDENTIALS;
}

v1::ResourceError problem(std::string resource, std::string field_path, std::string message) {
    v1::ResourceError error;
    error.set_resource(std::move(resource));
    error.set_field_path(std::move(field_path));
    error.set_message(std::move(message));
    return error;
}

std::pair<std::uint64_t, std::uint64_t> order_of(const v1::Version& version) {
    return {version.epoch(), version.seq()};
}

}  // namespace

Applied Applier::apply(const v1::Update& update) {
    Applied applied;
    std::optional<Refusal> refusal = check_version(update.version());
    bool of_store = version_.store_uuid() == update.version().store_uuid();
    bool repeat = holds_something() && of_store && order_of(update.version()) == order_of(version_);
    if (!refusal && repeat) refusal = check_repeat(update);
    if (refusal) {
        applied.drop_stream = true;
        refuse(update, *std::move(refusal), applied);
        return applied;
    }
    if (repeat) {
        source_ = v1::Hello::MEMORY;
        acknowledge(update, applied);
        return applied;
    }
    if (!holds_something() || of_store) return take(update, sections_, v1::Hello::MEMORY);
    std::string left = version_.store_uuid();
    applied = take(update, {}, v1::Hello::MEMORY);
    if (applied.accepted) applied.left_store = std::move(left);
    return applied;
}

Applied Applier::restore(const v1::Update& state, UnixMs saved_at) {
    Applied applied;
    if (!holds_something() && !check_version(state.version())) {
        applied = take(state, {}, v1::Hello::DISK);
        // A clock that is behind the file has been set back since; ahead of it, time has passed.
        applied.sender_time = saved_at > unix_now() ? saved_at : 0;
        return applied;
    }
    Refusal refusal{
        v1::NACK_CODE_STALE,
        problem("version", "", "something is in force already, or it has none")};
    refuse(state, std::move(refusal), applied);
    return applied;
}

// `sections` are those that the update may leave out.
Applied Applier::take(const v1::Update& update, HeldSections sections, v1::Hello::Source source) {
    Applied applied;
    std::optional<Refusal> refusal = take_sections(update, sections);
    if (!refusal) refusal = compile(update, sections, applied);
    if (refusal) {
        refuse(update, *std::move(refusal), applied);
        return applied;
    }
    version_ = update.version();
    source_ = source;
    sections_ = std::move(sections);
    if (applied.snapshot) {
        quarantined_ = applied.quarantined;
        providers_ = applied.snapshot->providers.size();
    }
    revision_ = update.revision();
    may_be_empty_ = update.may_be_empty();
    applied.sender_time = update.cp_time_ms();
    acknowledge(update, applied);
    return applied;
}

v1::Update Applier::state() const {
    v1::Update state;
    *state.mutable_version() = version_;
    state.set_revision(revision_);
    state.set_may_be_empty(may_be_empty_);
    for (const auto& [kind, held] : sections_) {
        v1::Section& section = *state.add_sections();
        section.set_kind(static_cast<v1::SectionKind>(kind));
        section.set_sha256(held.sha256);
        section.set_payload(*held.payload);
    }
    return state;
}

void Applier::announce(v1::Hello& hello) const {
    hello.set_applied_source(source_);
    if (!holds_something()) return;
    *hello.mutable_applied() = version_;
    for (const auto& [kind, section] : sections_) {
        (*hello.mutable_section_sha256())[static_cast<std::uint32_t>(kind)] = section.sha256;
    }
}

std::optional<Applier::Refusal> Applier::check_version(const v1::Version& version) const {
    if (!holds_something()) {
        if (version.seq() != 0 && !version.store_uuid().empty()) return std::nullopt;
        return Refusal{
            v1::NACK_CODE_SCHEMA, problem("version", "", "an update names its store and its seq")
        };
    }
    if (version.store_uuid() != version_.store_uuid()) {
        bool named = version.seq() != 0 && !version.store_uuid().empty();
        if (source_ == v1::Hello::DISK && named) return std::nullopt;
        return Refusal{
            v1::NACK_CODE_STORE_MISMATCH,
            problem(
                "version",
                "store_uuid",
                fmt::format(
                    "it comes from store {}, this data plane follows {}; restart the data plane to "
                    "make it follow the other",
                    version.store_uuid(),
                    version_.store_uuid()
                )
            )
        };
    }
    if (order_of(version) < order_of(version_)) {
        return Refusal{
            v1::NACK_CODE_STALE,
            problem(
                "version",
                "",
                fmt::format(
                    "({}, {}) is older than ({}, {}), which is in force",
                    version.epoch(),
                    version.seq(),
                    version_.epoch(),
                    version_.seq()
                )
            )
        };
    }
    return std::nullopt;
}

// A version has one content: two of the same number come from a store that has been set back.
std::optional<Applier::Refusal> Applier::check_repeat(const v1::Update& update) const {
    for (const v1::Section& section : update.sections()) {
        auto held = sections_.find(section.kind());
        if (held == sections_.end() || held->second.sha256 == section.sha256()) continue;
        return Refusal{
            v1::NACK_CODE_STALE,
            problem(
                section_name(section.kind()),
                "sha256",
                fmt::format(
                    "({}, {}) is in force with another content: was the control plane's state "
                    "restored from a copy? Restart the data plane to make it accept that",
                    version_.epoch(),
                    version_.seq()
                )
            )};
    }
    return std::nullopt;
}

// Puts what the Update brings over what is held.
std::optional<Applier::Refusal> Applier::take_sections(
    const v1::Update& update, HeldSections& sections
) const {
    for (const v1::Section& section : update.sections()) {
        int kind = section.kind();
        // A newer control plane may have sections that this build has no use for.
        if (!known(kind)) continue;
        if (section.unchanged()) {
            auto held = sections.find(kind);
            if (held != sections.end() && held->second.sha256 == section.sha256()) continue;
            return Refusal{
                v1::NACK_CODE_DIGEST,
                problem(section_name(kind), "sha256", "said to be unchanged, but it is not held")
            };
        }
        if (sha256(section.payload()) != section.sha256()) {
            return Refusal{
                v1::NACK_CODE_DIGEST,
                problem(section_name(kind), "sha256", "the payload has another digest")
            };
        }
        sections[kind] =
            HeldSection{section.sha256(), std::make_shared<const std::string>(section.payload())};
    }
    if (!sections.contains(v1::SECTION_KIND_CONFIG)) {
        return Refusal{
            v1::NACK_CODE_SCHEMA, problem("section/config", "", "an update without a configuration")
        };
    }
    return std::nullopt;
}

// Makes the snapshot and the health of `sections`; the former only when it would differ from the
// one in force.
std::optional<Applier::Refusal> Applier::compile(
    const v1::Update& update, const HeldSections& sections, Applied& applied
) {
    auto parse = [&](int kind, google::protobuf::MessageLite& into) -> std::optional<Refusal> {
        auto section = sections.find(kind);
        if (section == sections.end() || into.ParseFromString(*section->second.payload)) return {};
        return Refusal{
            v1::NACK_CODE_SCHEMA, problem(section_name(kind), "", "the payload cannot be parsed")
        };
    };
    v1::HealthSection health;
    if (auto refusal = parse(v1::SECTION_KIND_HEALTH, health)) return refusal;
    if (!same_settings(sections)) {
        v1::ConfigSection config;
        v1::CredentialSection credentials;
        if (auto refusal = parse(v1::SECTION_KIND_CONFIG, config)) return refusal;
        if (auto refusal = parse(v1::SECTION_KIND_CREDENTIALS, credentials)) return refusal;
        Result<Compiled> compiled = 
            compile_snapshot(update.version(), config, credentials, slots_, update.revision());
        if (!compiled) {
            return Refusal{
                config.schema() != 1 ? v1::NACK_CODE_SCHEMA : v1::NACK_CODE_INVALID,
                problem("section/config", "", compiled.error().text())
            };
        }
        applied.snapshot = std::move(compiled->snapshot);
        applied.quarantined = std::move(compiled->quarantined);
        if (auto refusal = check_some_provider(update, applied)) return refusal;
    }
    applied.health = std::move(health);
    return std::nullopt;
}

std::optional<Applier::Refusal> Applier::check_some_provider(
    const v1::Update& update, const Applied& applied
) const {
    bool some = !applied.snapshot->providers.empty();
    if (some || providers_ == 0 || update.may_be_empty()) return std::nullopt;
    // A control plane that is too old to tell its revision is too old to say what is meant.
    if (update.revision() == 0) return std::nullopt;
    std::string words = fmt::format(
        "no provider would be left of the {} in force, so nobody could answer, and no operator has "
        "said with --force that this is meant: enable one again (balancerctl providers enable NAME)",
        providers_
    );
    for (const Quarantined& item : applied.quarantined) {
        words += fmt::format("; {}: {}: {}", item.resource, item.field_path, item.message);
    }
    return Refusal{
        v1::NACK_CODE_INVALID, problem("section/config", "providers", std::move(words))};
}

bool Applier::same_settings(const HeldSections& sections) const {
    if (!holds_something()) return false;
    auto digest = [](const HeldSections& of, int kind) {
        auto section = of.find(kind);
        return section == of.end() ? std::string() : section->second.sha256;
    };
    for (int kind : {v1::SECTION_KIND_CONFIG, v1::SECTION_KIND_CREDENTIALS}) {
        if (digest(sections, kind) != digest(sections_, kind)) return false;
    }
    return true;
}

// Names what is left out with every Ack: the control plane may have restarted since it was
// compiled.
void Applier::acknowledge(const v1::Update& update, Applied& applied) const {
    applied.accepted = true;
    v1::Ack& ack = *applied.answer.mutable_ack();
    ack.set_nonce(update.nonce());
    *ack.mutable_applied() = version_;
    for (const Quarantined& item : quarantined_) {
        *ack.add_quarantined() = problem(item.resource, item.field_path, item.message);
    }
}

void Applier::refuse(const v1::Update& update, Refusal refusal, Applied& applied) const {
    applied.snapshot.reset();
    applied.health.reset();
    std::string place = refusal.error.resource();
    if (!refusal.error.field_path().empty()) place += "." + refusal.error.field_path();
    applied.refusal =
        fmt::format("{}: {}: {}", v1::NackCode_Name(refusal.code), place, refusal.error.message());
    v1::Nack& nack = *applied.answer.mutable_nack();
    nack.set_nonce(update.nonce());
    *nack.mutable_rejected() = update.version();
    *nack.mutable_still_applied() = version_;
    nack.set_code(refusal.code);
    *nack.add_errors() = std::move(refusal.error);
}

}  // namespace balancer::dataplane
