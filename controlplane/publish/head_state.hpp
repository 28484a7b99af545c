// The published sections and their version: what every data plane must reach.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "balancer/v1/config.pb.h"
#include "balancer/v1/data_plane.pb.h"
#include "base/file.hpp"

namespace balancer::controlplane {

// Serialised and hashed once per change, then sent to everyone as it is.
struct PublishedSection {
    v1::SectionKind kind = v1::SECTION_KIND_UNSPECIFIED;
    std::string payload;
    std::string sha256;

    // True when the bytes are other than before.
    bool set(const google::protobuf::MessageLite& content) {
        std::string bytes = content.SerializeAsString();
        std::string digest = balancer::sha256(bytes);
        if (digest == sha256) return false;
        payload = std::move(bytes);
        sha256 = std::move(digest);
        return true;
    }
};

// A plain record on the control plane's loop.
struct HeadState {
    v1::Version version;
    bool ready = false;
    std::string cause;
    std::uint64_t revision = 0;  // that `config` was made from; 0: not told
    bool may_be_empty = false;   // an operator means it, when there is no provider in it
    PublishedSection config{v1::SECTION_KIND_CONFIG, {}, {}};
    PublishedSection health{v1::SECTION_KIND_HEALTH, {}, {}};
    PublishedSection credentials{v1::SECTION_KIND_CREDENTIALS, {}, {}};

    std::array<const PublishedSection*, 3> sections() const {
        return {&config, &health, &credentials};
    }
};

}  // namespace balancer::controlplane
