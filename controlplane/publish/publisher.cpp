#include "controlplane/publish/publisher.hpp"

#include <fmt/format.h>

#include <utility>

#include "controlplane/publish/head_state.hpp"
#include "controlplane/publish/registry.hpp"

namespace balancer::controlplane {

struct Publisher::State {
    State(
        boost::asio::io_context& context,
        Log& event_log,
        v1::Version start,
        std::string cp_id,
        PublisherTimes times
    )
        : log(event_log), registry(context, event_log, head, std::move(cp_id), times) {
        head.version = std::move(start);
        head.health.set(v1::HealthSection());  // an empty section has a digest too
    }

    // Makes what changed the new head and sends it.
    void advance(LogLevel level, std::string cause) {
        head.version.set_seq(head.version.seq() + 1);
        head.cause = std::move(cause);
        log.emit(
            level,
            LogEvent::kUpdatePublished,
            fmt::format(
                "version ({}, {}) is published: {}",
                head.version.epoch(),
                head.version.seq(),
                head.cause
            )
        );
        registry.head_changed();
    }

    Log& log;
    HeadState head;
    Registry registry;
};

Publisher::Publisher(
    boost::asio::io_context& context,
    Log& log,
    v1::Version start,
    std::string cp_id,
    PublisherTimes times
)
    : state_(std::make_unique<State>(context, log, std::move(start), std::move(cp_id), times)) {}

Publisher::~Publisher() = default;

void Publisher::publish_config(
    const v1::ConfigSection& config,
    const v1::CredentialSection& credentials,
    std::string cause,
    Origin origin
) {
    // What was refused for being empty is sent again when it is meant.
    bool config_changed =
        std::exchange(state_->head.may_be_empty, origin.may_be_empty) != origin.may_be_empty;
    state_->head.revision = origin.revision;
    config_changed = state_->head.config.set(config) || config_changed;
    bool credentials_changed = state_->head.credentials.set(credentials);
    bool first = !std::exchange(state_->head.ready, true);
    if (config_changed || credentials_changed || first) {
        state_->advance(LogLevel::kInfo, std::move(cause));
    }
}

void Publisher::publish_health(const v1::HealthSection& health, std::string cause) {
    if (state_->head.health.set(health)) state_->advance(LogLevel::kDebug, std::move(cause));
}

bool Publisher::ready() const {
    return state_->head.ready;
}

v1::Version Publisher::head() const {
    return state_->head.version;
}

std::vector<v1::DataPlaneView> Publisher::data_planes() const {
    return state_->registry.rows();
}

std::vector<Member> Publisher::members() const {
    return state_->registry.members();
}

std::uint64_t Publisher::members_revision() const {
    return state_->registry.members_revision();
}

const FleetTally& Publisher::tally() const {
    return state_->registry.tally();
}

void Publisher::set_standings(const Standings& standings) {
    state_->registry.set_standings(standings);
}

Publisher::Registry& Publisher::registry() {
    return state_->registry;
}

}  // namespace balancer::controlplane
