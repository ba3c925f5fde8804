using System.Text.Json.Nodes;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Answers;
using LlamaCluster.Text.Templates.Nodes;
using LlamaCluster.Text.Templates.Parsing;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates;

/// <summary>
/// A model's chat template: the Jinja2 program in its metadata that writes a conversation as the prompt the model was trained on.
/// A template is parsed once and can be rendered any number of times, also by several threads at the same time.
/// </summary>
/// <remarks>
/// It renders as Jinja2's sandbox does with the settings of Hugging Face transformers (trim_blocks, lstrip_blocks, loop controls,
/// <c>raise_exception</c>, <c>strftime_now</c>, <c>tojson</c>, <c>generation</c> blocks). Not supported are references to other
/// templates (include, import, extends), recursive loops, and integers over 64 bits. See https://jinja.palletsprojects.com/templates and
/// https://huggingface.co/docs/transformers/chat_templating.
/// </remarks>
public sealed class ChatTemplate
{
    // So little that even a hostile template is soon through with all of them.
    static readonly TemplateLimits TrialLimits = new() { Steps = 20_000, Characters = 1 << 16 };

    readonly Body _body;
    readonly ContentForms _forms;
    readonly ToolForms _tools;

    ChatTemplate(Body body, string source)
    {
        (_body, Source) = (body, source);
        _forms = new ContentForms(messages => TryRender(messages, null, ContentForms.AsGiven));
        _tools = new ToolForms((messages, tools) => TryRender(messages, tools, _forms));
    }

    /// <summary>The template's text.</summary>
    public string Source { get; }

    /// <summary>How the model writes calls of functions, as far as its template's text shows it.</summary>
    public ToolFormat ToolFormat => Holds("<tool_call>") ? ToolFormat.Hermes
        : Holds("<function=") ? ToolFormat.FunctionTags
        : Holds("func_name1(") || Holds("pythonic") ? ToolFormat.Pythonic
        : Holds("<|python_tag|>") || Holds("ipython") || Holds("<|start_header_id|>") && _tools.KnowsTools ? ToolFormat.LlamaJson
        : ToolFormat.Hermes;

    /// <summary>Whether the model reasons in &lt;think&gt; tags before it answers, as far as its template's text shows it.</summary>
    public bool KnowsReasoning => Holds("<think>") || Holds("</think>");

    /// <summary>Whether the template writes the reasoning of earlier answers, which messages have as <c>reasoning_content</c>.</summary>
    public bool KnowsEarlierReasoning => Holds("reasoning_content");

    /// <summary>Parses a template.</summary>
    /// <exception cref="ChatTemplateException">The template cannot be read.</exception>
    public static ChatTemplate Parse(string source)
    {
        try
        {
            return new ChatTemplate(TemplateParser.Parse(source), source);
        }
        catch (TemplateFault fault)
        {
            throw new ChatTemplateException(fault.Message, fault.Line ?? 1, raisedByTemplate: false, fault);
        }
    }

    /// <summary>
    /// The prompt for a conversation. Content of messages may be a text or a list of text parts, arguments of calls an object or a text; the template
    /// gets them in the form that it reads, which is found out by trial. Functions, calls and results that it would leave out become text of messages.
    /// </summary>
    /// <param name="format">How the model writes calls; null: <see cref="ToolFormat"/>.</param>
    /// <exception cref="ChatTemplateException">
    /// The template refuses the conversation, does something that is not possible, or exceeds its limits on output, steps, recursion or time.
    /// </exception>
    /// <exception cref="OperationCanceledException">Nobody waits for the prompt any more.</exception>
    public string Render(ChatTemplateInput input, TimeProvider? time = null, CancellationToken cancellation = default, ToolFormat? format = null) =>
        Render(_tools.Apply(input, () => format ?? ToolFormat), _forms, new TemplateLimits(), time, cancellation);

    /// <summary>The prompt for messages exactly as they are.</summary>
    internal string RenderAsGiven(
        ChatTemplateInput input, TemplateLimits? limits = null, TimeProvider? time = null, CancellationToken cancellation = default) =>
        Render(input, ContentForms.AsGiven, limits ?? new TemplateLimits(), time, cancellation);

    string Render(ChatTemplateInput input, ContentForms forms, TemplateLimits limits, TimeProvider? time, CancellationToken cancellation)
    {
        var json = TemplateVariables.Serialize(input);
        long bytes = 0;
        foreach (var (_, text) in json) bytes += text.Length;
        var budget = new Budget(limits, bytes, time, cancellation);
        var context = new RenderContext(budget, new Scope(TemplateVariables.Of(input, json, forms, budget)), input.Now);
        try
        {
            _body.Render(context);
            return context.Output.ToString();
        }
        catch (TemplateFault fault)
        {
            throw new ChatTemplateException(fault.Message, fault.Line ?? context.Line, fault.RaisedByTemplate, fault);
        }
    }

    bool Holds(string words) => Source.Contains(words, StringComparison.Ordinal);

    string? TryRender(JsonArray messages, JsonNode? tools, ContentForms forms)
    {
        try
        {
            var trial = new ChatTemplateInput { Messages = messages, Tools = tools, Now = DateTimeOffset.UnixEpoch };
            return Render(trial, forms, TrialLimits, time: null, cancellation: default);
        }
        catch (ChatTemplateException)
        {
            return null;
        }
    }
}

/// <summary>
/// A chat template cannot be read, refuses the conversation (<c>raise_exception</c>), or exceeds its limits. The message is one line
/// that names the template's line.
/// </summary>
public sealed class ChatTemplateException(string reason, int line, bool raisedByTemplate, Exception? inner = null)
    : Exception($"chat template, line {line}: {OneLine(reason)}", inner)
{
    // A template can raise with the whole conversation as its words.
    const int LongestReason = 1000;

    /// <summary>What went wrong, in one line without the place: for <c>raise_exception</c> the template's own words.</summary>
    public string Reason { get; } = OneLine(reason);

    /// <summary>Line of the template, from 1.</summary>
    public int Line { get; } = line;

    /// <summary>The template itself refused its input, for example because roles do not alternate: the caller's fault, not the model's.</summary>
    public bool RaisedByTemplate { get; } = raisedByTemplate;

    static string OneLine(string text) => ErrorText.OneLine(text.Length <= LongestReason ? text : $"{text.AsSpan(0, LongestReason)}...");
}
