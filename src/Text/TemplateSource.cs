using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text;

/// <summary>A chat template that is not read yet.</summary>
/// <param name="Origin">The file and field that it comes from, for messages.</param>
public sealed record TemplateSource(string Text, string Origin)
{
    public ChatTemplate Parse()
    {
        try
        {
            return ChatTemplate.Parse(Text);
        }
        catch (ChatTemplateException e)
        {
            throw new ModelFormatException($"{Origin}: {ErrorText.Sentence(e.Message)}", e);
        }
    }
}
