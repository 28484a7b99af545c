#include "controlplane/secrets/sealed_store.hpp"

#include <array>

namespace balancer::controlplane {
namespace {

class SealedCategory final : public boost::system::error_category {
  public:
    const char* name() const noexcept override { return "sealed"; }
    std::string message(int code) const override {
        switch (static_cast<SealedErrc>(code)) {
            case SealedErrc::kLocked:
                return "the key of the sealed record is not there";
            case SealedErrc::kTampered:
                return "the sealed record is not as it was written";
            case SealedErrc::kConflict:
                return "the sealed record has been changed since";
            case SealedErrc::kRefused:
                return "the record cannot be sealed";
            case SealedErrc::kIo:
                return "the sealed record cannot be read or written";
        }
        return "unknown error of the sealed store";
    }
};

const SealedCategory kCategory;

}  // namespace

std::string_view name_of(SealedKind kind) {
    static constexpr std::array<std::string_view, kSealedKinds> kNames = {
        "oauth_account", "provider_key", "config_text"
    };
    return kNames[static_cast<std::size_t>(kind)];
}

bool is(const Error& error, SealedErrc code) {
    return error.code == ErrorCode(static_cast<int>(code), kCategory);
}

Error sealed_error(SealedErrc code, std::string detail) {
    return Error{ErrorCode(static_cast<int>(code), kCategory), std::move(detail)};
}

}  // namespace balancer::controlplane
