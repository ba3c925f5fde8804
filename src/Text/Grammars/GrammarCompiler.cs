using System.Text.Json;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;
using LlamaCluster.Text.Grammars.Rules;
using LlamaCluster.Text.Grammars.Schemas;

namespace LlamaCluster.Text.Grammars;

/// <summary>Why a grammar cannot be enforced.</summary>
/// <param name="Path">Where in the source: a JSON pointer such as "/properties/name"; "" for the source as a whole.</param>
/// <param name="Reason">What is wrong, naming the keyword, construct or limit; without a full stop.</param>
public sealed record GrammarRefusal(string Path, string Reason)
{
    /// <summary>"/properties/name: 'uniqueItems' cannot be enforced"</summary>
    public override string ToString() => Path.Length == 0 ? Reason : $"{Path}: {Reason}";
}

/// <summary>A compiled grammar, or why there is none: exactly one of them is not null.</summary>
public sealed record GrammarCompilation(Grammar? Grammar, GrammarRefusal? Refusal);

/// <summary>A grammar that can be enforced. Immutable, and safe for concurrent use.</summary>
public sealed class Grammar
{
    internal Grammar(RuleSet rules, IReadOnlyList<string> unknownKeywords) => (Rules, UnknownKeywords) = (rules, unknownKeywords);

    internal RuleSet Rules { get; }

    /// <summary>Names in its schema that are no keywords, and so assert nothing; the first few.</summary>
    public IReadOnlyList<string> UnknownKeywords { get; }

    /// <summary>About what it takes in memory.</summary>
    internal long Bytes => Rules.Bytes;
}

/// <summary>Compiles what clients ask for. Pure, and safe for concurrent use.</summary>
public static class GrammarCompiler
{
    /// <summary>Bounded by <see cref="GrammarLimits"/>: takes milliseconds as a rule, and never more than about a second.</summary>
    public static GrammarCompilation Compile(GrammarSource source)
    {
        try
        {
            if (source.Text.Length > GrammarLimits.SourceLength)
                throw GrammarException.Limit($"the grammar has {source.Text.Length} characters", GrammarLimits.SourceLength);
            var unknown = new UnknownKeywords();
            return new(new Grammar(Build(source, unknown), unknown.Names), null);
        }
        catch (GrammarException refused)
        {
            // What is quoted of the source may hold anything.
            return new(null, new GrammarRefusal(ErrorText.OneLine(refused.Path ?? ""), ErrorText.OneLine(refused.Message)));
        }
    }

    static RuleSet Build(GrammarSource source, UnknownKeywords unknown)
    {
        var budget = new WorkBudget();
        switch (source.Kind)
        {
            case GrammarKind.JsonSchema: return SchemaGrammar.OfSchema(Parse(source.Text), budget, unknown);
            case GrammarKind.JsonObject: return SchemaGrammar.OfAnyObject(budget);
            case GrammarKind.Tags: return SchemaGrammar.OfTags(Parse(source.Text), budget, unknown);
            case GrammarKind.Regex: return OfExpression(RegexParser.Whole(source.Text, budget), budget);
            case GrammarKind.Choice: return RuleBuilder.Build([ReadChoice(Parse(source.Text))], 0, budget);
            case GrammarKind.Gbnf:
                var (rules, root) = GbnfParser.Parse(source.Text, budget);
                return RuleBuilder.Build(rules, root, budget);
            default: throw new GrammarException($"there is no kind of grammar with the number {(int)source.Kind}");
        }
    }

    /// <summary>As one lexeme, however many states it takes within the limit.</summary>
    static RuleSet OfExpression(Expression expression, WorkBudget budget)
    {
        var automaton = ExpressionCompiler.ToAutomaton(expression, budget);
        if (automaton.IsEmpty) throw new GrammarException("no text matches");
        Expression whole = new Expression.Recognised(ByteEncoding.Encode(automaton, CharacterEncoding.Plain, budget));
        return RuleBuilder.Build([automaton.IsFinal(0) ? Expression.Optional(whole) : whole], 0, budget);
    }

    static Expression ReadChoice(JsonElement texts)
    {
        if (texts.ValueKind != JsonValueKind.Array || texts.GetArrayLength() == 0 || texts.EnumerateArray().Any(text => text.ValueKind != JsonValueKind.String))
            throw new GrammarException("a choice is a list of texts, at least one");
        if (texts.GetArrayLength() > GrammarLimits.Choices) throw GrammarException.Limit($"the choice has {texts.GetArrayLength()} texts",
            GrammarLimits.Choices);
        return Expression.AnyOf([.. texts.EnumerateArray().Select(text => new Expression.Literal(SchemaValues.TextOf(text)))]);
    }

    static JsonElement Parse(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = GrammarLimits.Depth });
            CheckTexts(document.RootElement);
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new GrammarException(IsDepth(json) ? $"it is nested deeper than {GrammarLimits.Depth}"
                : $"it is no JSON: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}");
        }
    }

    /// <summary>Names and texts can be written that are none: half a surrogate pair. Nobody behind this has to think of them.</summary>
    static void CheckTexts(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                SchemaValues.TextOf(element);
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray()) CheckTexts(item);
                break;
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                {
                    SchemaValues.NameOf(property);
                    CheckTexts(property.Value);
                }
                break;
        }
    }

    static bool IsDepth(string json)
    {
        var (depth, inText) = (0, false);
        for (var i = 0; i < json.Length; i++)
        {
            if (json[i] == '"') inText = !inText;
            else if (inText && json[i] == '\\') i++;
            else if (!inText && json[i] is '[' or '{' && ++depth > GrammarLimits.Depth) return true;
            else if (!inText && json[i] is ']' or '}') depth--;
        }
        return false;
    }
}
