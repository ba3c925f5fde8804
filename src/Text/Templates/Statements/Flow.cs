namespace LlamaCluster.Text.Templates.Statements;

/// <summary>How a statement ended: normally, or by leaving the loop around it or its round.</summary>
enum Flow
{
    Next,
    Break,
    Continue,
}
