using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Text.Tests.Grammars;

public sealed class GbnfGrammarTests
{
    const string Json = """
        # Any JSON value, written as grammars for llama.cpp write it.
        root   ::= value
        value  ::= object | array | string | number | ("true" | "false" | "null") ws
        object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
        array  ::= "[" ws ( value ("," ws value)* )? "]" ws
        string ::= "\"" ( [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
        number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]+)? ws
        ws     ::= | " " | "\n" [ \t]{0,20}
        """;

    [Fact]
    public void ReadsJson()
    {
        var probe = GrammarProbe.Of(new(GrammarKind.Gbnf, Json));
        Assert.All(
            ["{}", "[]", "[1, 2.5e-3]", "{\"a\": {\"b\": [true, null]}, \"c\": \"\\u00e9\\n\"}", "\"é😀\"", "-0", "[[[[[[]]]]]]"],
            text => Assert.True(probe.Accepts(text), text));
        Assert.All(["{", "[1,]", "{\"a\" 1}", "01", "\"\n\"", "tru", "[[[]]"], text => Assert.False(probe.Accepts(text), text));
        Assert.True(probe.Begins("{\"a\": {\"b\": [tr"));
        Assert.False(probe.Begins("{\"a\": {\"b\": [ur"));
    }

    [Theory]
    [InlineData("root ::= sum\nsum ::= sum \"+\" term | term\nterm ::= term \"*\" digit | digit\ndigit ::= [0-9]", "1,1+2*3,1*2*3+4", "+1,1+,12")]
    [InlineData("root ::= \"a\" root \"b\" | \"\"", "ab,aaabbb,", "aab,ba")]
    [InlineData("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"x\"", "axb,aaxbc,aaxcb", "aaxb,x b")]
    [InlineData("root ::= root root | \"a\"", "a,aa,aaaaaaaa", ",b")]
    [InlineData("root ::= maybe maybe \"x\"\nmaybe ::= \"a\"? | maybe", "x,ax,aax", "aaax")]
    [InlineData("root ::= (\"ab\" | \"a\") (\"c\" | \"bc\"){1,2}", "abc,ac,abbc,abcc", "ab,abccc")]
    [InlineData("root ::= \"x\" | loop\nloop ::= \"y\" loop", "x", "y")]
    [InlineData("root ::= ( # a comment\n  \"a\"\n  | \"b\" )+  # another\n", "a,ab,bba", ",c")]
    [InlineData("root ::= [^\\n]{2} . \"\\x41\\u00e9\\U0001F600\\t\"", "abcAé😀\t,ab\nAé😀\t", "a\ncAé😀\t")]
    [InlineData("root ::= item{3}\nitem ::= [a\\-c]", "a-c,---", "abc")]
    public void ReadsRulesOfAllKinds(string grammar, string accepted, string others)
    {
        var probe = GrammarProbe.Of(new(GrammarKind.Gbnf, grammar));
        Assert.All(accepted.Split(','), text => Assert.True(probe.Accepts(text), text));
        Assert.All(others.Split(','), text => Assert.False(probe.Accepts(text), text));
    }

    [Theory]
    [InlineData("", "no rule 'root'")]
    [InlineData("start ::= \"a\"", "no rule 'root'")]
    [InlineData("root ::= other", "'other' is used, but not defined")]
    [InlineData("root ::= \"a\"\nroot ::= \"b\"", "a second time")]
    [InlineData("root = \"a\"", "'::='")]
    [InlineData("root ::= (\"a\"", "without its ')'")]
    [InlineData("root ::= \"a", "ends too early")]
    [InlineData("root ::= \"a\nb\"", "breaks a line")]
    [InlineData("root ::= [z-a]", "in order")]
    [InlineData("root ::= \"\\q\"", "unknown escape \\q")]
    [InlineData("root ::= <[1]>", "names tokens")]
    [InlineData("root ::= \"a\"{2,1}", "no count meets")]
    [InlineData("root ::= \"a\" root", "no text matches")]
    [InlineData("root ::= a\na ::= b\nb ::= a", "no text matches")]
    [InlineData("root ::= \"a\" )", "where a rule should end")]
    public void SaysWhatIsWrong(string grammar, string reason) =>
        Assert.Contains(reason, GrammarProbe.Refusal(GrammarKind.Gbnf, grammar), StringComparison.Ordinal);

    [Fact]
    public void TheStackOfARepetitionDoesNotGrow()
    {
        var probe = GrammarProbe.Of(new(GrammarKind.Gbnf, "root ::= list\nlist ::= \"a\" list | end\nend ::= \"b\" end2\nend2 ::= list | \"\""));
        Assert.True(probe.Accepts(string.Concat(Enumerable.Repeat("ab", 20_000))));
    }
}
