using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Reads the form that an answer must have, in the ways in which OpenAI's, vLLM's and llama.cpp's clients ask for it. Whether it can be enforced turns out
/// when it is compiled.
/// </summary>
static class GrammarRules
{
    /// <param name="canEnd">A token that the model ends its answers with ends this one too.</param>
    public static AskedGrammar? Read(FieldReader fields, bool canEnd)
    {
        List<AskedGrammar> asked = [.. new[]
        {
            ReadFormat(fields),
            ReadJson(fields, "guided_json"),
            ReadText(fields, "guided_regex", GrammarKind.Regex),
            ReadChoice(fields, "guided_choice"),
            ReadText(fields, "guided_grammar", GrammarKind.Gbnf),
            ReadStructured(fields),
            ReadText(fields, "grammar", GrammarKind.Gbnf),
            ReadJson(fields, "json_schema"),
        }.OfType<AskedGrammar>()];
        if (asked.Count == 0) return null;
        if (asked.Count > 1) fields.Refuse(asked[1].Field, $"'{asked[0].Field}' and '{asked[1].Field}' both say what form an answer has; give one of them.");
        if (!canEnd) fields.Refuse(asked[0].Field, $"'{asked[0].Field}' needs an end of the answer: the model has no token for it, or 'ignore_eos' is set.");
        return asked[0];
    }

    /// <summary>OpenAI's field. llama.cpp's clients write the schema right into it.</summary>
    static AskedGrammar? ReadFormat(FieldReader fields)
    {
        const string name = "response_format";
        if (fields.Fields(name) is not { } format) return null;
        var asked = format.Text("type") switch
        {
            "text" => null,
            "json_object" => ReadJson(format, "schema") ?? new AskedGrammar(name, GrammarSource.AnyObject),
            "json_schema" => ReadNamed(format) ?? ReadJson(format, "schema") ?? Missing(format),
            _ => Unknown(format),
        };
        format.ReportUnread();
        return asked;
    }

    static AskedGrammar? ReadNamed(FieldReader format)
    {
        if (format.Fields("json_schema") is not { } named) return null;
        foreach (var note in (ReadOnlySpan<string>)["name", "description"]) named.Bookkeeping(note);
        named.Flag("strict");   // it is enforced either way
        var asked = ReadJson(named, "schema") ?? new AskedGrammar(named.PathOf("schema"), GrammarSource.AnyObject);
        named.ReportUnread();
        return asked;
    }

    static AskedGrammar? Missing(FieldReader format)
    {
        format.Refuse("json_schema", $"'{format.PathOf("json_schema")}' is required where the type is json_schema.");
        return null;
    }

    static AskedGrammar? Unknown(FieldReader format)
    {
        format.Refuse("type", $"'{format.PathOf("type")}' must be text, json_object or json_schema.");
        return null;
    }

    /// <summary>vLLM's field.</summary>
    static AskedGrammar? ReadStructured(FieldReader fields)
    {
        const string name = "structured_outputs";
        if (fields.Fields(name) is not { } outputs) return null;
        List<AskedGrammar> asked = [.. new[]
        {
            ReadJson(outputs, "json"),
            ReadText(outputs, "regex", GrammarKind.Regex),
            ReadChoice(outputs, "choice"),
            ReadText(outputs, "grammar", GrammarKind.Gbnf),
            outputs.Flag("json_object") ? new AskedGrammar(outputs.PathOf("json_object"), GrammarSource.AnyObject) : null,
        }.OfType<AskedGrammar>()];
        outputs.Neutral("structural_tag", Neutral.Never, "is not supported");
        outputs.Neutral("whitespace_pattern", Neutral.Never, "is not supported: spaces, tabs and line feeds are allowed between the parts of JSON");
        outputs.Neutral("disable_any_whitespace", Neutral.False, "other than false is not supported");
        outputs.Neutral("disable_additional_properties", Neutral.False,
            "other than false is not supported: write \"additionalProperties\": false into the schema");
        outputs.Neutral("disable_fallback", Neutral.Boolean, "must be true or false");
        outputs.ReportUnread();
        if (asked.Count > 1) outputs.Refuse("json", $"'{name}' must hold one of json, regex, choice, grammar and json_object.");
        return asked.FirstOrDefault();
    }

    /// <summary>A schema as JSON, or as a text that holds JSON.</summary>
    static AskedGrammar? ReadJson(FieldReader fields, string name)
    {
        if (fields.Find(name) is not { } schema) return null;
        var text = schema.ValueKind == JsonValueKind.String ? fields.Text(name) ?? "" : schema.GetRawText();
        return new AskedGrammar(fields.PathOf(name), new GrammarSource(GrammarKind.JsonSchema, text));
    }

    static AskedGrammar? ReadText(FieldReader fields, string name, GrammarKind kind) =>
        fields.Text(name) is { Length: > 0 } text ? new AskedGrammar(fields.PathOf(name), new GrammarSource(kind, text)) : null;

    static AskedGrammar? ReadChoice(FieldReader fields, string name) =>
        fields.Find(name) is { } texts ? new AskedGrammar(fields.PathOf(name), new GrammarSource(GrammarKind.Choice, texts.GetRawText())) : null;
}
