#include "model/ip_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace balancer {
namespace {

constexpr std::array<unsigned char, 12> kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned kV4Bits = 96;  // before the IPv4 address
constexpr std::size_t kShownMax = 64;

std::optional<unsigned> number_of(std::string_view digits) {
    unsigned value = 0;
    auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || problem != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

bool is_port(std::string_view digits) {
    std::optional<unsigned> port = number_of(digits);
    return port && *port <= 65535;
}

Error bad_block(std::string_view text, std::string_view why) {
    return invalid(fmt::format("'{}' {}", text.substr(0, kShownMax), why));
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    char terminated[INET6_ADDRSTRLEN] = {};
    if (text.size() >= sizeof terminated || text.find('\0') != text.npos) return std::nullopt;
    text.copy(terminated, text.size());
    IpAddress address;
    if (::inet_pton(AF_INET6, terminated, address.bytes_.data()) == 1) return address;
    std::copy(kV4Prefix.begin(), kV4Prefix.end(), address.bytes_.begin());
    if (::inet_pton(AF_INET, terminated, address.bytes_.data() + kV4Prefix.size()) == 1) return address;
    return std::nullopt;
}

std::optional<IpAddress> IpAddress::parse_with_port(std::string_view text) {
    if (text.starts_with('[')) {
        std::size_t close = text.find(']');
        if (close == text.npos) return std::nullopt;
        std::string_view rest = text.substr(close + 1);
        if (!rest.empty() && (rest[0] != ':' || !is_port(rest.substr(1)))) return std::nullopt;
        std::optional<IpAddress> address = parse(text.substr(1, close - 1));
        return address && text.substr(0, close).find(':') != text.npos ? address : std::nullopt;
    }
    std::size_t colon = text.find(':');
    bool has_port = colon != text.npos && text.find(':', colon + 1) == text.npos;
    if (!has_port) return parse(text);
    return is_port(text.substr(colon + 1)) ? parse(text.substr(0, colon)) : std::nullopt;
}

bool IpAddress::is_v4() const { return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes_.begin()); }

std::string IpAddress::text() const {
    char out[INET6_ADDRSTRLEN] = {};
    const bool v4 = is_v4();
    ::inet_ntop(v4 ? AF_INET : AF_INET6, bytes_.data() + (v4 ? kV4Prefix.size() : 0), out, sizeof out);
    return out;
}

Result<AddressBlock> AddressBlock::parse(std::string_view text) {
    std::size_t slash = text.find('/');
    std::optional<IpAddress> address = IpAddress::parse(text.substr(0, slash));
    if (!address) return bad_block(text, "is not an address or a block of them, such as 10.0.0.7, 10.0.0.0/8 or 2001:db8::/32");
    AddressBlock block;
    block.first_ = *address;
    if (slash == text.npos) return block;
    const bool v4 = text.find(':') == text.npos;
    const unsigned bits_max = v4 ? 32 : 128;
    std::optional<unsigned> bits = number_of(text.substr(slash + 1));
    if (!bits || *bits > bits_max) return bad_block(text, fmt::format("has no length from 0 to {} behind its slash", bits_max));
    block.prefix_ = *bits + (v4 ? kV4Bits : 0);
    for (unsigned bit = block.prefix_; bit < 128; ++bit) {
        block.first_.bytes_[bit / 8] &= static_cast<unsigned char>(~(0x80U >> (bit % 8)));
    }
    // More likely a slip than meant: nobody knows which of the two is wrong.
    if (block.first_ == *address) return block;
    return bad_block(text, fmt::format("has bits behind its first {}: {}/{} is that block", *bits, block.first_.text(), *bits));
}

bool AddressBlock::contains(const IpAddress& address) const {
    const unsigned whole = prefix_ / 8;
    if (std::memcmp(address.bytes_.data(), first_.bytes_.data(), whole) != 0) return false;
    if (prefix_ % 8 == 0) return true;
    const unsigned mask = 0xffU << (8 - prefix_ % 8) & 0xffU;
    return ((address.bytes_[whole] ^ first_.bytes_[whole]) & mask) == 0;
}

}  // namespace balancer
