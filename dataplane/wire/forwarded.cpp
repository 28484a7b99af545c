#include "dataplane/wire/forwarded.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.hpp"

namespace balancer::wire {
namespace {

// Of trusted proxies one behind the other; a longer list is nobody's but a liar's.
constexpr std::size_t kHopsMax = 32;

bool is_trusted(const IpAddress& address, std::span<const AddressBlock> trusted) {
    return std::any_of(trusted.begin(), trusted.end(), [&](const AddressBlock& block) {
        return block.contains(address);
    });
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

}  // namespace

bool tells_of_client(std::string_view name) {
    static constexpr std::array<std::string_view, 7> kNames = {
        "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip",
    };
    static constexpr std::string_view kPrefix = "x-forwarded-";
    if (name.size() > kPrefix.size() && equals_lower(name.substr(0, kPrefix.size()), kPrefix)) return true;
    return std::any_of(kNames.begin(), kNames.end(), [&](std::string_view one) { return equals_lower(name, one); });
}

std::string client_address(
    std::string_view peer, const HeaderFields& fields, std::span<const AddressBlock> trusted
) {
    std::optional<IpAddress> believed = trusted.empty() ? std::nullopt : IpAddress::parse_with_port(peer);
    if (!believed || !is_trusted(*believed, trusted)) return std::string(peer);
    bool told = false;
    std::size_t hops = 0;
    // The last hop wrote behind the others: lines and their items from the end.
    for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
        if (!equals_lower(field->name, "x-forwarded-for")) continue;
        std::string_view list = field->value;
        for (;;) {
            std::size_t comma = list.rfind(',');
            std::optional<IpAddress> address =
                IpAddress::parse_with_port(trimmed(comma == list.npos ? list : list.substr(comma + 1)));
            if (!address) return told ? believed->text() : std::string(peer);
            believed = address;
            told = true;
            if (!is_trusted(*address, trusted) || ++hops == kHopsMax) return address->text();
            if (comma == list.npos) break;
            list = list.substr(0, comma);
        }
    }
    return told ? believed->text() : std::string(peer);
}

}  // namespace balancer::wire
