// The sealed store: keys of providers that were set by hand, and the keys that they are sealed with.
#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"
#include "controlplane/config/sealed_key.hpp"
#include "controlplane/control_plane.hpp"

namespace balancer::controlplane {
namespace {

// More lines than that help nobody.
constexpr std::size_t kLinesMax = 20;

void copy_problem(const SealedProblem& in, v1::SealedRecordProblem& out) {
    out.set_kind(std::string(name_of(in.kind)));
    out.set_name(in.name);
    out.set_locked(in.code == SealedErrc::kLocked);
    out.set_why(in.why);
}

}  // namespace

// What `sealed:NAME` stands for: the key that an edit brings along, or a record.
Result<std::string> ControlPlane::sealed_key(const std::string& name) const {
    if (held_key_ && held_key_->name == name) return std::string(held_key_->content.view());
    Result<std::optional<SealedRecord>> record = store_.sealed().get(SealedKind::kProviderKey, name);
    if (!record) return record.error();
    if (*record) return std::string((*record)->content.view());
    return invalid(fmt::format(
        "there is no sealed key '{}' in this state directory (it was erased with the last revision that used "
        "it, or the file comes from elsewhere): set it again with `balancerctl providers update NAME --key-stdin`",
        name
    ));
}

// Turns a secret that is given as it stands into a reference, and keeps it until the edit is made or refused.
void ControlPlane::hold_key(v1::ProviderEdit& edit) {
    std::optional<std::string> secret = literal_secret(edit.auth_value());
    if (!secret) return;
    wipe(*edit.mutable_auth_value());
    const auto& in_force = revisions_.loaded().sealed;
    auto before = in_force.find(edit.name());
    if (before != in_force.end() && before->second.problem.empty()) {
        Result<std::string> same = sealed_key(before->second.name);
        if (same && equal_in_constant_time(*same, *secret)) edit.set_auth_value(sealed_reference(before->second.name));
        if (same) wipe(*same);
    }
    if (edit.auth_value().empty()) {
        held_key_ = HeldKey{make_sealed_name(edit.name()), SecretBytes(*secret), 0};
        edit.set_auth_value(sealed_reference(held_key_->name));
    }
    wipe(*secret);
}

// Before the revision that refers to it: a kill in between leaves a record that the next revision's clearing takes
// away.
Result<void> ControlPlane::store_held_key() {
    if (!held_key_) return {};
    Result<std::uint64_t> stored =
        store_.sealed().put(SealedKind::kProviderKey, held_key_->name, held_key_->content.view(), 0);
    if (!stored) return stored.error();
    held_key_->generation = *stored;
    return {};
}

void ControlPlane::drop_held_key() {
    if (!held_key_ || held_key_->generation == 0) return;
    // The first error is the one that tells something; what is left is taken away with the next revision.
    [[maybe_unused]] Result<void> erased =
        store_.sealed().erase(SealedKind::kProviderKey, held_key_->name, held_key_->generation);
}

// At a start: a rotation that was cut short ends here, and so does one by a credential or a variable.
void ControlPlane::settle_keys() {
    Result<Rewrapped> done = store_.keys().rewrap();
    if (!done) {
        log_.emit(LogLevel::kError, LogEvent::kSealedRecordUnusable, done.error().text());
    } else if (done->records > 0) {
        log_.emit(
            LogLevel::kInfo,
            LogEvent::kSealingKeysChanged,
            "records that were sealed with an older key are sealed with the active one now",
            {{"records", done->records}, {"left", done->left.size()}}
        );
    }
    Result<std::vector<SealedProblem>> problems = store_.keys().problems();
    if (!problems) return;
    for (std::size_t i = 0; i < std::min(problems->size(), kLinesMax); ++i) {
        const SealedProblem& problem = (*problems)[i];
        log_.emit(
            LogLevel::kError,
            LogEvent::kSealedRecordUnusable,
            problem.why,
            {{"kind", name_of(problem.kind)}, {"locked", problem.code == SealedErrc::kLocked}}
        );
    }
    if (problems->size() > kLinesMax) {
        log_.emit(
            LogLevel::kError,
            LogEvent::kSealedRecordUnusable,
            fmt::format("and {} more; see `balancerctl keys list`", problems->size() - kLinesMax)
        );
    }
}

std::optional<std::string> ControlPlane::locked_notice() const {
    Result<std::vector<KeyUse>> uses = store_.keys().keys();
    if (!uses) return uses.error().text();
    std::uint64_t locked = 0;
    std::string ids;
    for (const KeyUse& use : *uses) {
        if (use.source) continue;
        locked += use.total();
        ids += (ids.empty() ? "" : ", ") + use.id;
    }
    if (locked == 0) return std::nullopt;
    return fmt::format(
        "{} sealed records are locked: their keys ({}) are not there; `balancerctl keys list` shows them, "
        "docs/operations.md (Keys of the sealed store) says what to do",
        locked,
        ids
    );
}

Result<v1::ListSealingKeysResponse> ControlPlane::list_sealing_keys() const {
    Result<std::vector<KeyUse>> uses = store_.keys().keys();
    if (!uses) return uses.error();
    Result<std::vector<SealedProblem>> problems = store_.keys().problems();
    if (!problems) return problems.error();
    v1::ListSealingKeysResponse response;
    for (const KeyUse& use : *uses) {
        v1::SealingKey& out = *response.add_keys();
        out.set_id(use.id);
        if (use.source) out.set_source(std::string(name_of(*use.source)));
        out.set_active(use.active);
        out.set_active_since_ms(use.active_since);
        for (std::size_t kind = 0; kind < kSealedKinds; ++kind) {
            if (use.records[kind] == 0) continue;
            (*out.mutable_records())[std::string(name_of(static_cast<SealedKind>(kind)))] = use.records[kind];
        }
    }
    for (const SealedProblem& problem : *problems) copy_problem(problem, *response.add_problems());
    return response;
}

Result<v1::SealingKeyChange> ControlPlane::rotate_sealing_keys(const v1::RotateSealingKeysRequest& request) {
    Result<Rewrapped> done = store_.keys().rotate();
    if (!done) return done.error();
    Result<std::vector<KeyUse>> uses = store_.keys().keys();
    if (!uses) return uses.error();
    v1::SealingKeyChange response;
    response.set_message(fmt::format("{} is the active key", uses->front().id));
    response.set_rewrapped(done->records);
    for (const SealedProblem& problem : done->left) copy_problem(problem, *response.add_left());
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kSealingKeysChanged,
        response.message() + " since a rotation by hand",
        {{"actor", request.context().actor()},
         {"reason", request.context().reason()},
         {"records", done->records},
         {"left", done->left.size()}}
    );
    return response;
}

Result<v1::SealingKeyChange> ControlPlane::retire_sealing_key(const v1::RetireSealingKeyRequest& request) {
    Result<void> done = store_.keys().retire(request.id());
    if (!done) return done.error();
    v1::SealingKeyChange response;
    response.set_message(fmt::format("{} is retired", request.id()));
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kSealingKeysChanged,
        response.message() + " by hand",
        {{"actor", request.context().actor()}, {"reason", request.context().reason()}}
    );
    return response;
}

}  // namespace balancer::controlplane
