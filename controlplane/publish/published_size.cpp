#include "controlplane/publish/published_size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

namespace balancer::controlplane {
namespace {

struct Share {
    std::size_t bytes = 0;
    std::size_t ca_bytes = 0;
    std::size_t copies = 0;
};

double mebibytes(std::size_t bytes) {
    return static_cast<double>(bytes) / (1 << 20);
}

// What the configuration's providers come to, by their names there.
std::map<std::string, Share> shares_of(const v1::ConfigSection& config) {
    std::map<std::string, Share> shares;
    for (const v1::Provider& provider : config.providers()) {
        Share& share = shares[provider.group().empty() ? provider.name() : provider.group()];
        share.bytes += provider.ByteSizeLong();
        share.ca_bytes += provider.ca_pem().size();
        ++share.copies;
    }
    return shares;
}

}  // namespace

Result<void> check_published_size(const v1::ConfigSection& config, const v1::CredentialSection& credentials) {
    const std::size_t bytes = config.ByteSizeLong() + credentials.ByteSizeLong();
    if (bytes <= kPublishedBytesMax) return {};
    std::string words = fmt::format(
        "this is too large for data planes: {:.1f} MiB, where {:.0f} MiB is the most",
        mebibytes(bytes),
        mebibytes(kPublishedBytesMax)
    );
    const std::map<std::string, Share> shares = shares_of(config);
    auto largest = std::max_element(shares.begin(), shares.end(), [](const auto& a, const auto& b) {
        return a.second.bytes < b.second.bytes;
    });
    if (largest == shares.end()) return invalid(words);
    const auto& [name, share] = *largest;
    words += fmt::format("; most of it is provider '{}' with {:.1f} MiB", name, mebibytes(share.bytes));
    if (share.copies > 1) words += fmt::format(", which goes out once for each of its {} accounts", share.copies);
    if (share.ca_bytes > share.bytes / 2) {
        words += fmt::format(
            "; {:.1f} MiB of that are its CA certificates: leave only those in the file that sign for it",
            mebibytes(share.ca_bytes)
        );
    }
    return invalid(words);
}

}  // namespace balancer::controlplane
