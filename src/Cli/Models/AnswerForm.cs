using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Cli.Models;

/// <summary>The form that a generated text must have, by --grammar or --json-schema.</summary>
sealed class AnswerForm(Grammar grammar)
{
    public static Option<string?> Grammar() => new("--grammar") { HelpName = "GBNF", Description = "a grammar that the answer must follow, in llama.cpp's notation; @FILE reads it from a file" };

    public static Option<string?> Schema() => new("--json-schema") { HelpName = "JSON", Description = "a JSON Schema that the answer must be valid by; @FILE reads it from a file" };

    /// <returns>Null where neither is given.</returns>
    /// <exception cref="InvalidOptionsException">Both are given, or one that cannot be enforced.</exception>
    public static AnswerForm? Of(string? gbnf, string? schema)
    {
        if (gbnf is not null && schema is not null) throw new InvalidOptionsException("--grammar and --json-schema both say what form the answer has; give one of them");
        var (option, kind, given) = gbnf is not null ? ("--grammar", GrammarKind.Gbnf, gbnf) : ("--json-schema", GrammarKind.JsonSchema, schema);
        if (given is null) return null;
        var compiled = GrammarCompiler.Compile(new GrammarSource(kind, Read(option, given)));
        return compiled.Grammar is { } grammar ? new AnswerForm(grammar) : throw new InvalidOptionsException($"{option} cannot be enforced: {compiled.Refusal}");
    }

    public AnswerGrammar For(LocalFiles files) => new(grammar, GrammarVocabulary.Of(files.Text.Tokenizer, files.Weights.Config.VocabularySize));

    static string Read(string option, string given)
    {
        if (!given.StartsWith('@')) return given;
        try
        {
            return File.ReadAllText(given[1..]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new CommandFailedException($"{option}: {e.Message}");
        }
    }
}
