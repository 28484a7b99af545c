// Addresses as values, for what is told of them in text: forwarded headers, and whose word counts.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace balancer {

// IPv4, or IPv6 without a zone. An IPv4 address inside an IPv6 one (::ffff:192.0.2.1) is that IPv4 address.
class IpAddress {
  public:
    // `192.0.2.1`, `2001:db8::1`; none: it is something else.
    static std::optional<IpAddress> parse(std::string_view text);

    // The same, in brackets or not, with a port behind it or not: `192.0.2.1:4711`, `[2001:db8::1]:4711`.
    static std::optional<IpAddress> parse_with_port(std::string_view text);

    bool is_v4() const;
    std::string text() const;

    bool operator==(const IpAddress&) const = default;

  private:
    friend class AddressBlock;
    std::array<unsigned char, 16> bytes_{};  // network order; IPv4 as ::ffff:a.b.c.d
};

// The addresses that begin alike.
class AddressBlock {
  public:
    // `192.0.2.0/24`, `2001:db8::/32`, or one address. An error says what is wrong, and what may have been meant.
    static Result<AddressBlock> parse(std::string_view text);

    bool contains(const IpAddress& address) const;

    // Everything there is, of IPv4 or of both.
    bool is_all() const { return prefix_ == 0 || (first_.is_v4() && prefix_ == 96); }

  private:
    IpAddress first_;
    unsigned prefix_ = 128;  // in bits of the 128
};

}  // namespace balancer
