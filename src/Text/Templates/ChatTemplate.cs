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
    readonly Body _body;

    ChatTemplate(Body body) => _body = body;

    /// <summary>Parses a template.</summary>
    /// <exception cref="ChatTemplateException">The template cannot be read.</exception>
    public static ChatTemplate Parse(string source)
    {
        try
        {
            return new ChatTemplate(TemplateParser.Parse(source));
        }
        catch (TemplateFault fault)
        {
            throw new ChatTemplateException(fault.Message, fault.Line ?? 1, raisedByTemplate: false, fault);
        }
    }

    /// <summary>The prompt for a conversation.</summary>
    /// <exception cref="ChatTemplateException">
    /// The template refuses the conversation, does something that is not possible, or exceeds its limits on output, steps or recursion.
    /// </exception>
    public string Render(ChatTemplateInput input) => Render(input, new TemplateLimits());

    internal string Render(ChatTemplateInput input, TemplateLimits limits)
    {
        var variables = TemplateVariables.Of(input);
        var context = new RenderContext(new Budget(limits, variables.Characters), new Scope(variables.Scope), input.Now);
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
}

/// <summary>
/// A chat template cannot be read, refuses the conversation (<c>raise_exception</c>), or exceeds its limits. The message is one line
/// that names the template's line.
/// </summary>
public sealed class ChatTemplateException(string reason, int line, bool raisedByTemplate, Exception? inner = null)
    : Exception($"chat template, line {line}: {OneLine(reason)}", inner)
{
    /// <summary>What went wrong, in one line without the place: for <c>raise_exception</c> the template's own words.</summary>
    public string Reason { get; } = OneLine(reason);

    /// <summary>Line of the template, from 1.</summary>
    public int Line { get; } = line;

    /// <summary>The template itself refused its input, for example because roles do not alternate: the caller's fault, not the model's.</summary>
    public bool RaisedByTemplate { get; } = raisedByTemplate;

    static string OneLine(string text) => text.ReplaceLineEndings(" ");
}
