namespace LlamaCluster.Text.Templates.Parsing;

enum TokenKind
{
    Text,
    OutputBegin,
    OutputEnd,
    TagBegin,
    TagEnd,
    Name,
    String,
    Integer,
    Float,
    Operator,
    End,
}
