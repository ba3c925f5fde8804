using System.Text;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Text.Tests.Grammars;

/// <summary>Reads texts by a grammar, byte by byte.</summary>
sealed class GrammarProbe(Grammar grammar)
{
    readonly ReadingSteps _steps = new(grammar.Rules);

    public static GrammarProbe Of(GrammarSource source)
    {
        var compiled = GrammarCompiler.Compile(source);
        Assert.Null(compiled.Refusal?.ToString());
        return new GrammarProbe(compiled.Grammar!);
    }

    public static GrammarProbe OfSchema(string schema) => Of(new(GrammarKind.JsonSchema, schema));

    public static string Refusal(GrammarKind kind, string text)
    {
        var compiled = GrammarCompiler.Compile(new(kind, text));
        Assert.Null(compiled.Grammar);
        return compiled.Refusal!.ToString();
    }

    public static string SchemaRefusal(string schema) => Refusal(GrammarKind.JsonSchema, schema);

    public Readings Read(ReadOnlySpan<byte> text) => text.IsEmpty ? _steps.Begin() : _steps.Advance(_steps.Begin(), text);

    public bool Accepts(string text) => Read(Encoding.UTF8.GetBytes(text)).MayEnd;

    /// <summary>An answer may begin so.</summary>
    public bool Begins(string text) => !Read(Encoding.UTF8.GetBytes(text)).IsDead;
}
