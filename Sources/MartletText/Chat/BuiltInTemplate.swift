/// Templates for files that carry none.
package enum BuiltInTemplate {
    /// The GLM-4.1V family's behaviour (MODEL.md 5.1): nothing between items, nothing after a turn, roles it does not
    /// know dropped.
    package static let glm4v = """
        [gMASK]<sop>
        {%- for message in messages %}
            {%- if message.role == 'system' %}
                {{- '<|system|>\\n' ~ message.content }}
            {%- elif message.role == 'user' %}
                {{- '<|user|>\\n' }}
                {%- if message.content is string %}
                    {{- message.content }}
                {%- else %}
                    {%- for item in message.content %}
                        {%- if item.type == 'video' or 'video' in item %}
                            {{- '<|begin_of_video|><|video|><|end_of_video|>' }}
                        {%- elif item.type == 'image' or 'image' in item %}
                            {{- '<|begin_of_image|><|image|><|end_of_image|>' }}
                        {%- elif item.type == 'text' %}
                            {{- item.text }}
                        {%- endif %}
                    {%- endfor %}
                {%- endif %}
            {%- elif message.role == 'assistant' %}
                {{- '<|assistant|>' ~ (message.metadata or '') ~ '\\n' ~ message.content }}
            {%- endif %}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|assistant|>\\n' }}
        {%- endif %}
        """

    /// ChatML, for Llama-family GGUF files.
    package static let chatML = """
        {%- for message in messages %}
            {{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' }}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|im_start|>assistant\\n' }}
        {%- endif %}
        """
}
