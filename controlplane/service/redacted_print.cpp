#include "controlplane/service/redacted_print.hpp"

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "balancer/v1/annotations.pb.h"
#include "base/file.hpp"

namespace balancer {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

bool is_sensitive(const FieldDescriptor& field) {
    return field.options().GetExtension(v1::sensitive);
}

void mask_field(Message& message, const FieldDescriptor& field) {
    const Reflection& reflection = *message.GetReflection();
    if (!field.is_repeated()) {
        reflection.SetString(&message, &field, kMasked);
        return;
    }
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
        reflection.SetRepeatedString(&message, &field, i, kMasked);
    }
}

// One value: element `index` of a repeated field, or the singular field when it is -1.
Json value_of(const Message& message, const FieldDescriptor& field, int index) {
    const Reflection& r = *message.GetReflection();
    const FieldDescriptor* f = &field;
    const bool one = index < 0;
    switch (field.cpp_type()) {
        case FieldDescriptor::CPPTYPE_BOOL:
            return one ? r.GetBool(message, f) : r.GetRepeatedBool(message, f, index);
        case FieldDescriptor::CPPTYPE_INT32:
            return one ? r.GetInt32(message, f) : r.GetRepeatedInt32(message, f, index);
        case FieldDescriptor::CPPTYPE_INT64:
            return one ? r.GetInt64(message, f) : r.GetRepeatedInt64(message, f, index);
        case FieldDescriptor::CPPTYPE_UINT32:
            return one ? r.GetUInt32(message, f) : r.GetRepeatedUInt32(message, f, index);
        case FieldDescriptor::CPPTYPE_UINT64:
            return one ? r.GetUInt64(message, f) : r.GetRepeatedUInt64(message, f, index);
        case FieldDescriptor::CPPTYPE_DOUBLE:
            return one ? r.GetDouble(message, f) : r.GetRepeatedDouble(message, f, index);
        case FieldDescriptor::CPPTYPE_FLOAT:
            return one ? r.GetFloat(message, f) : r.GetRepeatedFloat(message, f, index);
        case FieldDescriptor::CPPTYPE_ENUM:
            return one ? r.GetEnum(message, f)->name()
                       : r.GetRepeatedEnum(message, f, index)->name();
        case FieldDescriptor::CPPTYPE_STRING: {
            std::string text =
                one ? r.GetString(message, f) : r.GetRepeatedString(message, f, index);
            if (is_sensitive(field)) return text.empty() ? "" : kMasked;
            return field.type() == FieldDescriptor::TYPE_BYTES ? to_hex(text) : text;
        }
        case FieldDescriptor::CPPTYPE_MESSAGE:
            if (one && !r.HasField(message, f)) return nullptr;
            return to_json(
                one ? r.GetMessage(message, f) : r.GetRepeatedMessage(message, f, index)
            );
    }
    return nullptr;
}

std::string map_key(const Json& key) {
    return key.is_string() ? key.get<std::string>() : key.dump();
}

Json repeated_value(const Message& message, const FieldDescriptor& field) {
    int size = message.GetReflection()->FieldSize(message, &field);
    if (!field.is_map()) {
        Json list = Json::array();
        for (int i = 0; i < size; ++i) list.push_back(value_of(message, field, i));
        return list;
    }
    Json object = Json::object();
    for (int i = 0; i < size; ++i) {
        Json entry = value_of(message, field, i);
        object[map_key(entry["key"])] = entry["value"];
    }
    return object;
}

}  // namespace

void mask_secrets(Message& message) {
    const Reflection& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> set;
    reflection.ListFields(message, &set);
    for (const FieldDescriptor* field : set) {
        if (is_sensitive(*field)) {
            mask_field(message, *field);
        } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
            if (!field->is_repeated()) {
                mask_secrets(*reflection.MutableMessage(&message, field));
                continue;
            }
            for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
                mask_secrets(*reflection.MutableRepeatedMessage(&message, field, i));
            }
        }
    }
}

Json to_json(const Message& message) {
    const google::protobuf::Descriptor& type = *message.GetDescriptor();
    Json object = Json::object();
    for (int i = 0; i < type.field_count(); ++i) {
        const FieldDescriptor& field = *type.field(i);
        object[field.name()] =
            field.is_repeated() ? repeated_value(message, field) : value_of(message, field, -1);
    }
    return object;
}

}  // namespace balancer
