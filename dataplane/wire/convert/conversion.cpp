#include "dataplane/wire/convert/conversion.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/fnv.hpp"

namespace balancer::wire::convert {
namespace {

constexpr std::size_t kNotesMax = 32;
constexpr std::size_t kNameBytesMax = 48;

}  // namespace

void Notes::add(std::string_view field, std::string_view what) {
    add_whole(fmt::format("{}: {}", field, what));
}

void Notes::add(const Notes& more) {
    for (const std::string& note : more.list_) add_whole(note);
}

void Notes::add_whole(std::string note) {
    if (list_.size() < kNotesMax && std::find(list_.begin(), list_.end(), note) == list_.end()) {
        list_.push_back(std::move(note));
    }
}

void Notes::add_unknown(std::string_view field) {
    bool plain = !field.empty() && field.size() <= kNameBytesMax &&
                 std::all_of(field.begin(), field.end(), is_plain);
    add(plain ? field : std::string_view("an unknown field"));
}

Error not_capable(std::string detail) {
    return Error{make_error_code(boost::system::errc::not_supported), std::move(detail)};
}

bool is_not_capable(const Error& error) {
    return error.code == boost::system::errc::not_supported;
}

std::string fit_name(std::string_view name, std::size_t bytes_max) {
    if (name.size() <= bytes_max) return std::string(name);
    std::string_view begin = name.substr(0, bytes_max - 17);
    // No escape and no letter of several bytes is cut in two.
    if (!std::all_of(begin.begin(), begin.end(), is_plain)) begin = "name";
    return fmt::format("{}_{:016x}", begin, fnv1a(name));
}

std::string ToolNames::to_openai(std::string_view name) {
    std::string sent = fit_name(name, kToolNameBytesMax);
    if (sent != name) changed_.emplace(sent, name);
    return sent;
}

std::string_view ToolNames::from_openai(std::string_view name) const {
    if (changed_.empty()) return name;
    auto found = changed_.find(std::string(name));
    return found == changed_.end() ? name : std::string_view(found->second);
}

}  // namespace balancer::wire::convert
