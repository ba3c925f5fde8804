using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Text.Tests.Grammars.Schemas;

public sealed class SchemaRefusalTests
{
    [Theory]
    [InlineData("{\"properties\":{\"a\":{\"type\":\"array\",\"uniqueItems\":true}}}", "/properties/a: the keyword 'uniqueItems' cannot be enforced")]
    [InlineData("{\"if\":{},\"then\":{}}", "/: the keyword 'if' cannot be enforced")]
    [InlineData("{\"items\":{\"contains\":{}}}", "/items: the keyword 'contains' cannot be enforced")]
    [InlineData("{\"type\":\"string\",\"nullable\":true}", "the keyword 'nullable' cannot be enforced")]
    [InlineData("{\"multipleOf\":3}", "'multipleOf' can only be enforced for 1, 0.1, 0.01 and so on")]
    [InlineData("{\"format\":\"idn-email\"}", "the format 'idn-email' cannot be enforced; date, date-time")]
    [InlineData("{\"pattern\":\"(?=a)\"}", "the pattern '(?=a)' cannot be enforced")]
    [InlineData("{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "a value can be of its schemas 0 and 1 at once")]
    [InlineData("{\"oneOf\":[{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{}}}]}", "at once; make them differ, or use 'anyOf'")]
    [InlineData("{\"not\":{\"properties\":{\"a\":{}}}}", "'not' can only be enforced for")]
    [InlineData("{\"type\":\"number\",\"not\":{\"const\":3}}", "'not' of a number cannot be enforced")]
    [InlineData("{\"$ref\":\"https://example.com/s.json\"}", "cannot be followed: only places in the same schema")]
    [InlineData("{\"$ref\":\"#/$defs/none\"}", "finds nothing there")]
    [InlineData("{\"$ref\":\"#\"}", "refers to itself without an end")]
    [InlineData("{\"allOf\":[{\"$ref\":\"#\"}]}", "refers to itself without an end")]
    [InlineData("{\"type\":\"object\",\"properties\":{\"n\":{\"$ref\":\"#\"}},\"required\":[\"n\"]}", "no text matches")]
    [InlineData("{\"anyOf\":[{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"}]}}}", "no text matches")]
    [InlineData("{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", "no text matches")]
    [InlineData("false", "no text matches")]
    [InlineData("{\"type\":\"text\"}", "'type' names a type that JSON does not have")]
    [InlineData("{\"items\":[{}]}", "'prefixItems' since 2020-12")]
    [InlineData("{\"minProperties\":2,\"properties\":{\"a\":{}}}", "'minProperties' cannot be enforced")]
    [InlineData("{\"maxItems\":100000}", "up to 10000")]
    [InlineData("{\"minLength\":-1}", "'minLength' must be a whole number")]
    [InlineData("{\"minimum\":\"3\"}", "'minimum' must be a number")]
    [InlineData("{\"type\":\"number\",\"minimum\":1e-2147483648}", "'minimum'")]
    [InlineData("{\"\\ud800\":1}", "half a surrogate pair")]
    [InlineData("{\"type\":\"number\",\"format\":\"\\ud800\"}", "half a surrogate pair")]
    [InlineData("{\"$id\":\"\\ud800\"}", "half a surrogate pair")]
    [InlineData("{\"anyOf\":[]}", "at least one schema")]
    [InlineData("3", "a schema must be an object, true or false")]
    [InlineData("{", "it is no JSON")]
    [InlineData("{\"items\":[{}],\"additionalItems\":false}", "'prefixItems' since 2020-12")]
    [InlineData("{\"format\":\"uri-template\"}", "the format 'uri-template' cannot be enforced")]
    public void NamesKeywordAndPath(string schema, string reason) => Assert.Contains(reason, GrammarProbe.SchemaRefusal(schema), StringComparison.Ordinal);

    /// <summary>By the specification they assert nothing. They may be slips, so they are told.</summary>
    [Fact]
    public void NamesThatAreNoKeywordsAreToldAndHaveNoEffect()
    {
        var (grammar, refusal) = GrammarCompiler.Compile(new(GrammarKind.JsonSchema,
            """{"type":"object","id":"a","x-order":1,"requred":["a"]"""
                + ""","properties":{"a":{"type":"string","format":"path","example":"b"},"b":{"requred":[],"name":{"if":3}}}}"""));
        Assert.Null(refusal);
        Assert.Equal(["requred", "format=path", "name"], grammar!.UnknownKeywords);

        var many = GrammarCompiler.Compile(new(GrammarKind.JsonSchema,
            $"{{{string.Join(',', Enumerable.Range(0, 50).Select(name => $"\"{name}{new string('a', 100)}\":1"))}}}"));
        Assert.Equal((8, 63), (many.Grammar!.UnknownKeywords.Count, many.Grammar.UnknownKeywords[^1].Length));
    }
}
