namespace LlamaCluster.Text.Tests.Grammars.Schemas;

public sealed class SchemaGrammarTests
{
    [Theory]
    [InlineData("{\"type\":\"null\"}", "null", "nul|false|\"\"")]
    [InlineData("{\"type\":\"boolean\"}", "true|false", "True|null")]
    [InlineData("{\"type\":[\"integer\",\"null\"]}", "0|-12|null", "1.5|01|true|-")]
    [InlineData("{\"type\":\"number\"}", "0|-1.5|1e9|2.50E-3", ".5|1.|+1|1e")]
    [InlineData("{\"const\":{\"a\":[1,\"x\"]}}", "{\"a\":[1,\"x\"]}|{ \"a\" : [1, \"x\" ] }", "{\"a\":[1]}|{}")]
    [InlineData("{\"enum\":[\"red\",\"re\\\"d\",3,null]}", "\"red\"|\"re\\\"d\"|3|null", "\"re\"|33|red")]
    [InlineData("{\"enum\":[\"a\",\"bb\",1,2.5],\"type\":\"string\",\"minLength\":2}", "\"bb\"", "\"a\"|1")]
    [InlineData("{\"enum\":[1,5,2.5,\"x\"],\"type\":\"integer\",\"maximum\":4}", "1", "5|2.5")]
    [InlineData("{\"type\":\"integer\",\"enum\":[1.0,2]}", "1.0|2", "1.5")]
    [InlineData("{\"unevaluatedProperties\":false}", "{}", "{\"a\":1}|[]")]
    public void Scalars(string schema, string accepted, string others) => Check(schema, accepted, others);

    [Theory]
    [InlineData("{\"type\":\"string\"}", "\"\"|\"é😀\"|\"\\u00e9\\n\\\"\\/\"|\"\\ud83d\\ude00\"", "\"|\"a|\"\n\"|\"\\ud83d\"|\"\\x\"|\"\\u12g4\"")]
    [InlineData("{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"ab\"|\"é😀x\"|\"\\n\\n\"|\"\\ud83d\\ude00a\"",
        "\"a\"|\"abcd\"|\"\\ud83d\\ude00\"")]
    [InlineData("{\"type\":\"string\",\"pattern\":\"^[a-z]{2}\\\\d+$\"}", "\"ab1\"|\"zz99\"", "\"a1\"|\"ab1 \"|\"xab1\"")]
    [InlineData("{\"type\":\"string\",\"pattern\":\"b\\\"\"}", "\"b\\\"\"|\"xx\\nb\\\"é\"", "\"b\"|\"b\"\"")]
    [InlineData("{\"type\":\"string\",\"pattern\":\"^a|b$\",\"maxLength\":2}", "\"a\"|\"ax\"|\"xb\"", "\"xa\"|\"axx\"|\"bx\"")]
    [InlineData("{\"pattern\":\"^x\"}", "\"x\"|\"xyz\"", "1|\"y\"")]
    [InlineData("{\"type\":\"string\",\"not\":{\"enum\":[\"ab\",\"c\"]}}", "\"a\"|\"abc\"|\"\"", "\"ab\"|\"c\"")]
    [InlineData("{\"type\":\"string\",\"not\":{\"pattern\":\"b\"},\"minLength\":1}", "\"a\"|\"xyz\"", "\"ab\"|\"\"")]
    [InlineData("{\"format\":\"date\"}", "\"2024-02-29\"|\"2026-11-30\"", "\"2023-02-29\"|\"2026-11-31\"|\"2026-13-01\"|\"1900-02-29\"|\"0000-01-01\"")]
    [InlineData("{\"format\":\"date-time\"}", "\"2026-11-28T21:00:00Z\"|\"2026-11-28T21:00:00.125+02:00\"",
        "\"2026-11-28\"|\"2026-11-28T24:00:00Z\"|\"2026-11-28T21:00:00\"")]
    [InlineData("{\"format\":\"time\"}", "\"23:59:59Z\"", "\"23:59\"|\"23:60:00Z\"")]
    [InlineData("{\"format\":\"uuid\"}", "\"123e4567-e89b-12d3-a456-426614174000\"",
        "\"123e4567e89b12d3a456426614174000\"|\"123e4567-e89b-12d3-a456-42661417400g\"")]
    [InlineData("{\"format\":\"email\"}", "\"a.b+c@example.com\"", "\"a@\"|\"@b.c\"|\"a b@c.d\"|\"a..b@c.d\"")]
    [InlineData("{\"format\":\"ipv4\"}", "\"255.0.10.1\"", "\"256.0.0.1\"|\"1.2.3\"|\"01.2.3.4\"")]
    [InlineData("{\"format\":\"ipv6\"}", "\"::1\"|\"2001:db8::8a2e:370:7334\"|\"::\"", "\"1::2::3\"|\":1\"|\"12345::\"")]
    [InlineData("{\"format\":\"uri\"}", "\"https://example.com/a/b?c=d#e\"|\"mailto:a@b.c\"|\"urn:isbn:123\"", "\"example.com\"|\"http://a b\"|\"/path\"")]
    [InlineData("{\"format\":\"duration\"}", "\"P3D\"|\"PT1H30M\"|\"P1Y2M3DT4H\"|\"P2W\"", "\"P\"|\"PT\"|\"3D\"|\"P1W2D\"")]
    [InlineData("{\"format\":\"hostname\"}", "\"example.com\"|\"a-b.c\"", "\"-a.b\"|\"a..b\"|\"a_b\"|\"xn--a\"|\"ab--c.d\"")]
    [InlineData("{\"format\":\"uri\"}", "\"https://a.b:80/c?d#e\"|\"mailto:a@b\"|\"http://u:p@h/\"", "\"http://a:b/\"|\"a b\"|\"/c\"")]
    [InlineData("{\"type\":\"number\",\"format\":\"double\"}", "1|-2.5|3e5", "\"1\"|x")]
    [InlineData("{\"type\":\"integer\",\"format\":\"uint8\",\"minimum\":2}", "2|30", "1|-3")]
    public void Strings(string schema, string accepted, string others) => Check(schema, accepted, others);

    [Theory]
    [InlineData("{\"type\":\"integer\",\"minimum\":-3,\"maximum\":12}", -3, 12)]
    [InlineData("{\"type\":\"integer\",\"exclusiveMinimum\":-3,\"exclusiveMaximum\":12}", -2, 11)]
    [InlineData("{\"type\":\"integer\",\"minimum\":7}", 7, 500)]
    [InlineData("{\"type\":\"integer\",\"maximum\":-98}", -500, -98)]
    [InlineData("{\"type\":\"integer\",\"minimum\":98.5,\"maximum\":102.5}", 99, 102)]
    [InlineData("{\"type\":\"integer\",\"minimum\":-12,\"maximum\":-10}", -12, -10)]
    [InlineData("{\"allOf\":[{\"minimum\":0},{\"maximum\":199},{\"type\":\"integer\"}]}", 0, 199)]
    public void BoundsOfIntegers(string schema, int least, int most)
    {
        var probe = GrammarProbe.OfSchema(schema);
        for (var number = -500; number <= 500; number++) Assert.True(probe.Accepts($"{number}") == (number >= least && number <= most), $"{number}");
    }

    [Theory]
    [InlineData("{\"type\":\"number\",\"minimum\":-1.25,\"maximum\":2.5}", -1.25, 2.5, false)]
    [InlineData("{\"type\":\"number\",\"exclusiveMinimum\":-1.25,\"exclusiveMaximum\":2.5}", -1.25, 2.5, true)]
    [InlineData("{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1}", 0, 1, true)]
    [InlineData("{\"type\":\"number\",\"minimum\":1e-2,\"maximum\":9.5e1}", 0.01, 95, false)]
    [InlineData("{\"type\":\"number\",\"minimum\":-10,\"exclusiveMaximum\":0}", -10, 0, false)]
    public void BoundsOfNumbers(string schema, double least, double most, bool strictLeast)
    {
        var probe = GrammarProbe.OfSchema(schema);
        var strictMost = schema.Contains("exclusiveMaximum", StringComparison.Ordinal);
        var random = new Random(3);
        for (var i = 0; i < 5_000; i++)
        {
            var number = Math.Round((random.NextDouble() * 24) - 12, random.Next(4)) * (random.Next(5) == 0 ? 10 : 1);
            var text = ((decimal)number).ToString(System.Globalization.CultureInfo.InvariantCulture) + (random.Next(4) == 0 && number % 1 != 0 ? "00" : "");
            var expected = (strictLeast ? number > least : number >= least) && (strictMost ? number < most : number <= most);
            Assert.True(probe.Accepts(text) == expected, text);
        }
        Assert.All(new[] { least, most }, bound =>
        {
            var text = ((decimal)bound).ToString(System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal(bound == least ? !strictLeast : !strictMost, probe.Accepts(text));
        });
    }

    [Theory]
    [InlineData("{\"multipleOf\":0.01,\"type\":\"number\"}", "1.25|3|-0.1", "1.255|1e2")]
    [InlineData("{\"multipleOf\":1}", "12|-3", "1.5")]
    [InlineData("{\"type\":\"integer\",\"not\":{\"enum\":[0,7]}}", "1|70|-7", "0|7|-0")]
    [InlineData("{\"type\":\"integer\",\"format\":\"int32\"}", "2147483647|-2147483648", "2147483648|-2147483649")]
    public void Numbers(string schema, string accepted, string others) => Check(schema, accepted, others);

    [Theory]
    [InlineData("{\"type\":\"object\"}", "{}|{\"a\":[1,{}]}|{ \"a\" : 1 , \"b\" : null }", "[]|{a:1}|{\"a\":1,}")]
    [InlineData("{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"required\":[\"b\"]}",
        "{\"a\":1,\"b\":\"\"}|{\"b\":\"x\"}|{\n\t\"b\" : \"x\" }",
        "{}|{\"a\":1}|{\"b\":\"\",\"a\":1}|{\"b\":\"\",\"c\":1}|{\"a\":1,}")]
    [InlineData("{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},\"c\":{\"type\":\"null\"}}}",
        "{}|{\"a\":null}|{\"c\":null}|{\"a\":null,\"c\":null}|{\"a\":null,\"b\":null,\"c\":null}",
        "{\"c\":null,\"a\":null}|{,\"a\":null}|{\"a\":null \"b\":null}")]
    [InlineData("{\"properties\":{\"ab\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":\"integer\"}}",
        "{}|{\"ab\":null,\"a\":1,\"abc\":2}|{\"x\":1,\"y\":2}", "{\"ab\":1}|{\"x\":null}|{\"x\":1,\"ab\":null}")]
    [InlineData("{\"patternProperties\":{\"^n\":{\"type\":\"integer\"},\"x$\":{\"maximum\":9}},\"additionalProperties\":false}",
        "{}|{\"n\":12}|{\"ax\":3}|{\"nx\":3,\"nn\":12}", "{\"a\":1}|{\"nx\":12}|{\"n\":null}")]
    [InlineData("{\"required\":[\"z\"],\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}",
        "{\"z\":true}|{\"z\":true,\"y\":false}", "{}|{\"z\":1}")]
    [InlineData("{\"properties\":{\"a\":{},\"b\":false},\"additionalProperties\":false}", "{}|{\"a\":[]}", "{\"b\":1}|{\"a\":1,\"b\":1}")]
    [InlineData("{\"allOf\":[{\"properties\":{\"a\":{\"minimum\":3}}},"
        + "{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"null\"}},\"required\":[\"a\"]}]}",
        "{\"a\":3}|{\"a\":33,\"b\":null}", "{\"a\":2}|{\"b\":null}|{\"a\":3.5}")]
    [InlineData("{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-z]+$\"},\"additionalProperties\":{\"type\":\"null\"}}",
        "{\"ab\":null}", "{\"A\":null}|{\"\":null}")]
    [InlineData("{\"properties\":{\"é\\\"\":{\"type\":\"null\"}}}", "{\"é\\\"\":null}", "{\"é\":null}")]
    public void Objects(string schema, string accepted, string others) => Check(schema, accepted, others);

    [Theory]
    [InlineData("{\"type\":\"array\"}", "[]|[1, \"a\", []]|[ ]", "{}|[1,]|[,1]")]
    [InlineData("{\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3}", "[1,2]|[1,2,3]|[ 1 , 2 ]", "[]|[1]|[1,2,3,4]|[1,null]")]
    [InlineData("{\"items\":{\"type\":\"integer\"},\"minItems\":2}", "[1,2]|[1,2,3,4,5]", "[]|[1]")]
    [InlineData("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"maxItems\":1}", "[]|[null]", "[null,null]")]
    [InlineData("{\"type\":\"array\",\"maxItems\":0}", "[]", "[1]")]
    [InlineData("{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"null\"}],\"items\":{\"type\":\"string\"}}",
        "[]|[1]|[1,null]|[1,null,\"a\",\"b\"]", "[null]|[1,null,1]")]
    [InlineData("{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"null\"}],\"items\":false,\"minItems\":2}", "[1,null]", "[1]|[1,null,1]")]
    [InlineData("{\"type\":\"array\",\"items\":false}", "[]", "[1]")]
    [InlineData("{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":5,\"maximum\":4},\"minItems\":0}", "[]", "[1]")]
    public void Arrays(string schema, string accepted, string others) => Check(schema, accepted, others);

    [Theory]
    [InlineData("{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}", "1|null", "true")]
    [InlineData("{\"type\":\"integer\",\"anyOf\":[{\"maximum\":1},{\"minimum\":8}]}", "1|8", "2|7")]
    [InlineData("{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"a\"}},\"required\":[\"k\"]},"
        + "{\"properties\":{\"k\":{\"const\":\"b\"},\"n\":{\"type\":\"integer\"}},\"required\":[\"k\",\"n\"]}]}",
        "{\"k\":\"a\"}|{\"k\":\"b\",\"n\":1}", "{\"k\":\"b\"}|{\"k\":\"c\"}")]
    [InlineData("{\"oneOf\":[{\"type\":\"integer\",\"maximum\":3},{\"type\":\"integer\",\"minimum\":4},{\"type\":\"string\"}]}", "3|4|\"x\"", "1.5|null")]
    [InlineData("{\"not\":{\"type\":[\"object\",\"array\"]}}", "1|\"a\"|null", "{}|[]")]
    [InlineData("{\"enum\":[1,2,3],\"not\":{\"const\":2}}", "1|3", "2")]
    [InlineData("{\"$ref\":\"#/$defs/n\",\"$defs\":"
        + "{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"$ref\":\"#/$defs/n\"}},\"required\":[\"v\"]}}}",
        "{\"v\":1}|{\"v\":1,\"next\":{\"v\":2,\"next\":{\"v\":3}}}", "{}|{\"v\":1,\"next\":{}}|{\"v\":1,\"next\":{\"v\":2}")]
    [InlineData("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}]}", "null|[]|[[null],[[]]]", "[1]|[[]")]
    [InlineData("{\"$ref\":\"#/definitions/a~1b\",\"maximum\":5,\"definitions\":{\"a/b\":{\"type\":\"integer\"}}}", "5|-7", "6|1.5")]
    [InlineData("{\"$id\":\"https://x.y/z.json\",\"items\":{\"$ref\":\"https://x.y/z.json#/$defs/i\"},\"$defs\":{\"i\":{\"const\":1}}}", "[]|[1,1]", "[2]")]
    [InlineData("true", "{}|1|\"a\"", "x")]
    [InlineData("{}", "[{}]|1|\"a\"", "x")]
    public void Combinations(string schema, string accepted, string others) => Check(schema, accepted, others);

    static void Check(string schema, string accepted, string others)
    {
        var probe = GrammarProbe.OfSchema(schema);
        Assert.All(accepted.Split('|'), text => Assert.True(probe.Accepts(text), $"{text} is valid"));
        Assert.All(others.Split('|'), text => Assert.False(probe.Accepts(text), $"{text} is not valid"));
    }
}
