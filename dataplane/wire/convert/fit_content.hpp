// Cutting what a provider does not take out of messages, their content and tools. For the sources of this folder only: it
// speaks simdjson.
#pragma once

#include "dataplane/wire/convert/element_cuts.hpp"
#include "dataplane/wire/convert/fit_request.hpp"
#include "dataplane/wire/convert/json_walk.hpp"

namespace balancer::wire::convert {

// Visits each value of one body once, from its front to its end. Lives for one call of fit_request().
class ContentFitter {
  public:
    ContentFitter(JsonReader::Walk& walk, std::string_view body, const Capabilities& takes, FittedRequest& out)
        : walk_(walk), body_(body), takes_(takes), out_(out) {}

    void fit_messages(Value& value);
    void fit_tools(Value& value);
    // A text, or a list of blocks, of which those to cut are marked.
    std::vector<Element> fit_content(Value& value, const Place& place);

    // The members of an object, those cut for which `each(name, value)` is true. Every value has to be read: skip().
    template <class Each>
    std::vector<Element> members(Value& value, Each&& each) {
        std::vector<Element> found;
        walk_.members(value, [&](std::string_view name, Value& member) {
            found.push_back(member_of(name, member, each));
        });
        return found;
    }
    template <class Each>
    Element member_of(std::string_view name, Value& value, Each&& each) {
        std::string_view token = first_token(value);
        bool cut = each(name, value);
        return {{offset(name.data()) - 1, span_from(token).end}, name, cut};
    }
    // Reads past a value; false, as `each` says it of a member that stays.
    bool skip(Value& value) {
        walk_.raw(value);
        return false;
    }
    // The same for one that goes if the provider does not take it.
    bool drop(Value& value, std::string_view note, bool takes);
    // The inside of a string; read past, and empty, for other kinds.
    std::string_view text_of(Value& value);
    // `with` in the place of a view of the body.
    void replace(std::string_view old, std::string with);
    void refuse(const Place& place, std::string_view why);

  private:
    Element fit_message(Value& value, const Place& place);
    Element fit_block(Value& value, const Place& place);
    void judge_block(Element& block, std::string_view text, std::string_view tool_name, const Place& place);
    // Where a value begins, taken before it is read, and its span, asked for when it has been.
    std::string_view first_token(Value& value);
    ByteSpan span_from(std::string_view first_token);
    bool fit_cache_control(Value& value);
    void fit_source(Value& value, const Place& place);
    void fit_tool(Value& value, const Place& place);
    // 1 after a problem, when nothing counts any more.
    std::size_t offset(const char* at) const { return at == nullptr ? 1 : static_cast<std::size_t>(at - body_.data()); }

    JsonReader::Walk& walk_;
    std::string_view body_;
    const Capabilities& takes_;
    FittedRequest& out_;
};

}  // namespace balancer::wire::convert
