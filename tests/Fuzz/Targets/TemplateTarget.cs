using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Testing;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>A chat template: read, and rendered with a conversation that has everything in it.</summary>
sealed class TemplateTarget : ITarget
{
    public static readonly ChatTemplateInput Plain = new()
    {
        Messages = JsonNode.Parse(
            """[{"role":"system","content":"S"},{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes"},{"role":"user","content":"Go on"}]""")!,
        BosToken = "<s>",
        EosToken = "</s>",
        Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
    };

    public static readonly ChatTemplateInput WithTools = Plain with
    {
        Messages = JsonNode.Parse("""
            [{"role":"user","content":[{"type":"text","text":"Weather?"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",
            "function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}}]},{"role":"tool","tool_call_id":"1","content":"{\"t\":21.5}"}]
            """)!,
        Tools = JsonNode.Parse(
            """[{"type":"function","function":{"name":"weather","description":"d","parameters":"""
            + """{"type":"object","properties":{"city":{"type":"string"}}}}}]""")!,
    };

    public IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. Directory.GetFiles(SharedFiles.Fixture("templates"), "*.jinja").Order(StringComparer.Ordinal).Select(File.ReadAllBytes),
        .. Expressions.Select(Encoding.UTF8.GetBytes),
    ];

    public IReadOnlyList<string> Words { get; } =
    [
        "{{", "}}", "{%", "%}", "{%-", "-%}", "{#", "#}", " for ", " in ", " if ", " else ", " elif ", "endfor", "endif", " set ", "endset", " macro ",
        "endmacro", " call ", "endcall", " filter ", "endfilter", " break ", " continue ", " not ", " and ", " or ", " is ", "defined", "none", "true",
        "namespace(", "range(", "raise_exception(", "strftime_now(", "loop.index0", "loop.previtem", "messages", "message['content']", "tools", "|tojson",
        "|trim", "|length", "|join(", "|map(attribute=", "|selectattr(", "|list", "|first", "|items", "|int", "|string", "|indent(", "|replace(", ".split(",
        ".strip()", ".get(", ".keys()", ".format(", "[::-1]", "[1:]", "~", "**", "//", "%", "+", "-", "*", "(", ")", "[", "]", "{", "}", ",", "'", "\"", "\\",
        "\n", "9223372036854775807", "1e308", "0",
    ];

    static string[] Expressions =>
    [
        "{% set ns = namespace(l=[]) %}{% for m in messages %}{% set ns.l = ns.l + [m.content] %}{% endfor %}{{ ns.l | join(', ') | upper }}",
        "{% macro f(a, b=2) %}{{ a ~ b }}{{ caller() if caller }}{% endmacro %}{% call f('x', b=3) %}y{% endcall %}"
            + "{{ '%s %d' % ('a', 3) }}{{ '{:>8}'.format('x') }}",
        "{{ messages | map(attribute='role') | list | tojson(indent=2) }}"
            + "{{ range(10)[::-2] | list }}{{ {'a': [1, {'b': 2.5}]} | dictsort }}{{ 'abc'[1:] in 'bc' }}",
        "{% for k, v in {'a': 1}.items() recursive %}{{ loop.cycle('x', 'y') }}{{ k }}={{ v }}{% else %}none{% endfor %}{{ 7 // 2 ** 3 % 5 }}{{ -3 | abs }}",
    ];

    public void Run(byte[] input)
    {
        try
        {
            var template = ChatTemplate.Parse(Encoding.UTF8.GetString(input));
            _ = (template.ToolFormat, template.KnowsReasoning);
            Render(template, Plain);
            Render(template, WithTools);
        }
        catch (ChatTemplateException refused)
        {
            Refusals.Check(refused);
        }
    }

    public void Dispose() { }

    static void Render(ChatTemplate template, ChatTemplateInput input)
    {
        try
        {
            template.Render(input);
        }
        catch (ChatTemplateException refused)
        {
            Refusals.Check(refused);
        }
    }
}
