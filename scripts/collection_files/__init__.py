"""Postman and Insomnia files of everything public: what the OpenAPI document says, in the order of a story."""
