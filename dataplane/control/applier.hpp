// Decides about each Update: apply it, or refuse it and stay on the last good state.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "balancer/v1/config.pb.h"
#include "balancer/v1/data_plane.pb.h"
#include "model/from_proto.hpp"
#include "model/snapshot.hpp"

namespace balancer::dataplane {

// What came of one Update.
struct Applied {
    v1::SyncRequest answer;  // an Ack or a Nack
    bool accepted = false;
    bool drop_stream = false;                  // the sender is not to be listened to any more
    std::shared_ptr<const Snapshot> snapshot;  // null: the workers keep theirs
    std::optional<v1::HealthSection>
        health;                            // whole; with every accepted Update that is not a repeat
    std::vector<Quarantined> quarantined;  // with a snapshot
    std::string refusal;                   // words, when refused
    UnixMs sender_time = 0;  // what the sender's clock said: the times in `health` are of that; 0: not told
    std::string left_store;  // of the state from disk that this one takes the place of
};

// Sans-I/O; lives on the control thread. Holds the sections of the version in force, as bytes and
// digests.
//
// An Update of another store, or of a lower (epoch, seq), comes from a control plane that must not
// be believed: refused, and its stream is dropped. One with the version in force is a repeat:
// acknowledged, nothing else; with other content it is refused like an older one. Everything is
// checked before anything changes: a refused Update leaves no trace. One that leaves no provider, when there were some,
// is refused unless it says that this is meant: a mistake of the control plane must not end every client's service.
//
// What restore() brought from disk holds only until a control plane speaks: an Update of another
// store takes its place, since after a restart a data plane follows whom it is pointed at.
class Applier {
  public:
    explicit Applier(ProviderSlots& slots) : slots_(slots) {}

    Applied apply(const v1::Update& update);

    // Takes what state() gave to another process. Refused when anything is held.
    // `saved_at`: our own clock, when it was kept.
    Applied restore(const v1::Update& state, UnixMs saved_at = 0);

    // All that is held, whole.
    v1::Update state() const;

    v1::Hello::Source source() const { return source_; }

    // Says what is held: version, source and digests.
    void announce(v1::Hello& hello) const;

    // seq 0: nothing yet.
    const v1::Version& version() const { return version_; }

  private:
    struct HeldSection {
        std::string sha256;
        std::shared_ptr<const std::string> payload;
    };
    using HeldSections = std::map<int, HeldSection>;
    struct Refusal {
        v1::NackCode code;
        v1::ResourceError error;
    };

    bool holds_something() const { return version_.seq() != 0; }
    std::optional<Refusal> check_version(const v1::Version& version) const;
    std::optional<Refusal> take_sections(const v1::Update& update, HeldSections& sections) const;
    std::optional<Refusal> compile(
        const v1::Update& update, const HeldSections& sections, Applied& applied
    );
    std::optional<Refusal> check_some_provider(
        const v1::Update& update, const Applied& applied
    ) const;
    bool same_settings(const HeldSections& sections) const;
    std::optional<Refusal> check_repeat(const v1::Update& update) const;
    Applied take(const v1::Update& update, HeldSections sections, v1::Hello::Source source);
    void acknowledge(const v1::Update& update, Applied& applied) const;
    void refuse(const v1::Update& update, Refusal refusal, Applied& applied) const;

    ProviderSlots& slots_;
    v1::Version version_;
    v1::Hello::Source source_ = v1::Hello::NONE;
    HeldSections sections_;
    std::vector<Quarantined> quarantined_;
    std::size_t providers_ = 0;  // of the snapshot in force
    std::uint64_t revision_ = 0;
    bool may_be_empty_ = false;
};

}  // namespace balancer::dataplane
