using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>
/// A template as Ollama's model files and requests have them: a program of Go's text/template that writes a conversation as a prompt. It is parsed once and can
/// be rendered any number of times, also by several threads at the same time.
/// </summary>
/// <remarks>
/// Actions: if, else if, else, with, range, break, continue, define, template, block, variables, comments, pipelines. Functions: and, or, not, eq, ne, lt,
/// le, gt, ge, len, index, slice, print, println, printf (with the verbs s, v, d, q, t and f), json, currentDate, yesterdayDate. Everything else is refused
/// by name. See https://pkg.go.dev/text/template and https://github.com/ollama/ollama/blob/main/docs/template.mdx.
/// </remarks>
public sealed class GoTemplate
{
    /// <summary>Names in <see cref="ChatTemplateInput.Variables"/>.</summary>
    public const string Suffix = "Suffix", Think = "Think", ThinkLevel = "ThinkLevel", IsThinkSet = "IsThinkSet";

    // It comes with a request, and is written for one prompt: it needs less than a model's own.
    static readonly TemplateLimits Limits = new() { Steps = 1_000_000, Characters = 4 << 20, Time = TimeSpan.FromSeconds(5) };

    readonly ParsedTemplate _parsed;

    GoTemplate(ParsedTemplate parsed, string source) => (_parsed, Source) = (parsed, source);

    /// <summary>The template's text.</summary>
    public string Source { get; }

    /// <summary>Parses a template.</summary>
    /// <exception cref="GoTemplateException">It cannot be read, or has what is not supported.</exception>
    public static GoTemplate Parse(string source) => new(GoParser.Parse(source), source);

    /// <summary>Whether it looks at a field or variable of this name anywhere.</summary>
    public bool Uses(string field) => _parsed.Fields.Contains(field.ToLowerInvariant());

    /// <summary>
    /// The prompt. As in Ollama, a template that knows .Messages is rendered once with all of them. Any other is rendered for each turn (.System, .Prompt,
    /// .Response), and the last turn ends where its .Response does, so that the model goes on from there. With a suffix, .Prompt and .Suffix are all there is.
    /// </summary>
    /// <param name="standIns">What stands for other letters in the input: see <see cref="ContentMarks"/>.</param>
    /// <exception cref="GoTemplateException">
    /// It does something that is not possible with this input, or exceeds its limits on output, steps, recursion or time.
    /// </exception>
    /// <exception cref="OperationCanceledException">Nobody waits for the prompt any more.</exception>
    public string Render(
        ChatTemplateInput input, TimeProvider? time = null, CancellationToken cancellation = default, IReadOnlyDictionary<char, char>? standIns = null)
    {
        long size = 0;
        foreach (var (_, json) in TemplateVariables.Serialize(input)) size += json.Length;
        var rendering = new GoRendering(_parsed, new Budget(Limits, size, time, cancellation), input.Now, standIns);
        try
        {
            Render(rendering, GoInput.Of(input));
            return rendering.Output.ToString();
        }
        catch (TemplateFault fault)
        {
            throw GoTemplateException.At(fault.Message, Source, rendering.At, fault);
        }
    }

    void Render(GoRendering rendering, GoInput input)
    {
        var body = _parsed.Definitions[ParsedTemplate.Main];
        if (input.Suffix is { } suffix)
            rendering.Execute(body, input.Variables(("Prompt", input.LastPrompt), (Suffix, suffix), ("Response", "")));
        else if (Uses("Messages"))
            rendering.Execute(body, input.Variables(("System", input.System), ("Messages", input.Messages), ("Tools", input.Tools), ("Response", "")));
        else
            RenderTurns(rendering, input);
    }

    void RenderTurns(GoRendering rendering, GoInput input)
    {
        var body = _parsed.Definitions[ParsedTemplate.Main];
        if (!Uses("Response")) body = [.. body, ResponseCut.Node];
        var turns = input.Turns();
        foreach (var turn in turns.SkipLast(1)) rendering.Execute(body, VariablesOf(turn));
        rendering.Execute(ResponseCut.Apply(body), VariablesOf(turns[^1]));

        GoMap VariablesOf(GoTurn turn) => input.Variables(("System", turn.System), ("Prompt", turn.Prompt), ("Response", turn.Response));
    }
}

/// <summary>A template cannot be read, or cannot be rendered with its input. The message is one line that names the place.</summary>
public sealed class GoTemplateException : Exception
{
    // A template can be named by its own long words.
    const int LongestReason = 1000;

    GoTemplateException(string reason, int line, int position, Exception? inner) : base($"line {line}, position {position}: {reason}", inner) =>
        (Line, Position) = (line, position);

    /// <summary>Line of the template, from 1.</summary>
    public int Line { get; }

    /// <summary>Character of the line, from 1.</summary>
    public int Position { get; }

    internal static GoTemplateException At(string reason, string source, int at, Exception? inner = null)
    {
        var before = source.AsSpan(0, at);
        var shown = reason.Length <= LongestReason ? reason : $"{reason.AsSpan(0, LongestReason)}...";
        return new GoTemplateException(ErrorText.OneLine(shown), before.Count('\n') + 1, at - before.LastIndexOf('\n'), inner);
    }
}
