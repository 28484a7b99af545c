#include "dataplane/wire/convert/output_schema.hpp"

#include <fmt/format.h>

#include "dataplane/wire/convert/json_walk.hpp"
#include "dataplane/wire/convert/json_write.hpp"
#include "dataplane/wire/convert/name_list.hpp"

namespace balancer::wire::convert {
namespace {

constexpr std::string_view kField = "response_format";

constexpr std::string_view kBounds[] = {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
};

constexpr std::string_view kFormats[] = {
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
};

// One schema and those inside of it, copied from its front to its end.
class SchemaWriter {
  public:
    SchemaWriter(JsonReader::Walk& walk, Notes& notes, std::string& out) : walk_(walk), notes_(notes), out_(out) {}

    void write(Value& schema);

  private:
    struct Object {
        bool is_object = false;
        bool closed = false;
        bool says_whether = false;
    };

    void member(std::string_view name, Value& value, Object& object);
    void write_type(Value& value, Object& object);
    void write_named(Value& schemas);
    void write_list(Value& schemas);
    static bool is_refused(std::string_view name, std::string_view raw);

    JsonReader::Walk& walk_;
    Notes& notes_;
    std::string& out_;
};

void SchemaWriter::write(Value& schema) {
    if (walk_.kind(schema) != JsonKind::kObject) return void(out_.append(walk_.raw(schema)));
    Object object;
    out_.push_back('{');
    walk_.members(schema, [&](std::string_view name, Value& value) { member(name, value, object); });
    if (object.is_object || object.says_whether) {
        if (!object.closed) notes_.add(kField, "additionalProperties set to false");
        raw_member(out_, "additionalProperties", "false");
    }
    out_.push_back('}');
}

void SchemaWriter::member(std::string_view name, Value& value, Object& object) {
    if (name == "type") {
        write_type(value, object);
    } else if (name == "additionalProperties") {
        object.says_whether = true;
        object.closed = walk_.raw(value) == "false";
    } else if (name == "properties" || name == "$defs" || name == "definitions") {
        object.is_object = object.is_object || name == "properties";
        open_member(out_, name);
        write_named(value);
    } else if (name == "anyOf" || name == "allOf" || name == "oneOf" || name == "prefixItems" || name == "items") {
        open_member(out_, name);
        write_list(value);
    } else if (std::string_view raw = walk_.raw(value); is_refused(name, raw)) {
        notes_.add(kField, fmt::format("{} of the schema dropped", name));
    } else {
        raw_member(out_, name, raw);
    }
}

void SchemaWriter::write_type(Value& value, Object& object) {
    std::string_view raw = walk_.raw(value);
    // A name, or a list of names.
    object.is_object = object.is_object || raw.find("\"object\"") != std::string_view::npos;
    raw_member(out_, "type", raw);
}

void SchemaWriter::write_named(Value& schemas) {
    if (walk_.kind(schemas) != JsonKind::kObject) return void(out_.append(walk_.raw(schemas)));
    out_.push_back('{');
    walk_.members(schemas, [this](std::string_view name, Value& schema) {
        open_member(out_, name);
        write(schema);
    });
    out_.push_back('}');
}

// Or a single one.
void SchemaWriter::write_list(Value& schemas) {
    if (walk_.kind(schemas) != JsonKind::kArray) return write(schemas);
    out_.push_back('[');
    walk_.elements(schemas, [this](std::size_t, Value& schema) {
        separate(out_);
        write(schema);
    });
    out_.push_back(']');
}

// Whether Anthropic refuses a schema with this member.
bool SchemaWriter::is_refused(std::string_view name, std::string_view raw) {
    // Nothing or one at least can be asked for.
    if (name == "minItems") return raw != "0" && raw != "1";
    if (name == "format") return raw.size() < 2 || !is_among(kFormats, raw.substr(1, raw.size() - 2));
    return is_among(kBounds, name);
}

}  // namespace

void append_output_schema(JsonReader& reader, std::string_view schema, Notes& notes, std::string& out) {
    std::size_t begin = out.size();
    JsonReader::Walk& walk = reader.walk();
    SchemaWriter writer(walk, notes, out);
    Result<void> read = walk.read_object_copy(
        fmt::format("{{\"schema\":{}}}", schema), [&writer](std::string_view, Value& value) { writer.write(value); }
    );
    if (read) return;
    // Deeper than we read: the provider's to judge.
    out.resize(begin);
    out.append(schema);
}

}  // namespace balancer::wire::convert
